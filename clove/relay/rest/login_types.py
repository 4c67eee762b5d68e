"""What the REST API takes and gives of computers that ask for a token of their own. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.base import Request
from clove.relay.rest.token_types import IssuedToken
from clove.relay.rest.types import Hours, Text

__all__ = [
    "BegunLogin",
    "CollectedLogin",
    "LoginConfirmation",
    "LoginSecret",
    "NewLogin",
    "WaitingLogin",
]


class NewLogin(Request, frozen=True, kw_only=True):
    """A computer that wants a token, and what it is called."""

    name: Text = ""


class BegunLogin(msgspec.Struct, frozen=True, kw_only=True):
    """`device_code` is the computer's secret, with which it asks what has become of it every `interval` seconds;
    `user_code` is shown to a person, who types it on the relay's page within `seconds`.
    """

    device_code: str
    user_code: str
    seconds: float
    interval: float


class LoginSecret(Request, frozen=True, kw_only=True):
    """The computer asks."""

    device_code: Annotated[str, msgspec.Meta(max_length=128)]


class CollectedLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody has decided yet, or here is the token, this once."""

    status: Literal["waiting", "confirmed"]
    token: IssuedToken | None = None


class WaitingLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A computer that waits: what it says that it is, and the address that it came from."""

    user_code: str
    name: str
    source: str
    seconds_left: float


class LoginConfirmation(Request, frozen=True, kw_only=True):
    """A person says yes: what the new token of kind admin is called (else as the computer is), and how long it is good."""

    name: Text = ""
    expires_hours: Hours | None = 720.0
