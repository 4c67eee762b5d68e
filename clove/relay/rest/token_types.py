"""What the REST API takes and gives of tokens. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from clove.messages.base import Request
from clove.policy.fields import PermissionFields
from clove.relay.rest.types import Hours, Labels, MachineId, Text, Time

__all__ = [
    "IssuedToken",
    "JoinToken",
    "NewAdminToken",
    "NewAgentToken",
    "NewMachineToken",
    "Revoked",
    "Rotated",
    "Rotation",
    "Token",
    "TokenPatch",
    "Tokens",
]


class NewMachineToken(Request, frozen=True, kw_only=True):
    """A bearer token for a tunnel of version 1."""

    machine_id: MachineId
    name: Text = ""
    expires_hours: Hours | None = None


class JoinToken(Request, frozen=True, kw_only=True):
    """A one-time token for a machine's first connection (version 2)."""

    machine_id: MachineId
    name: Text = ""
    expires_hours: Hours = 1.0


class NewAgentToken(Request, frozen=True, kw_only=True):
    """A token for remote agents: which machines, by id or by labels, and with which permissions."""

    target_machine: MachineId | Literal[""] = ""
    target_machines: Annotated[list[MachineId], msgspec.Meta(max_length=1000)] = []
    labels: Labels = {}
    permissions: PermissionFields = PermissionFields()
    name: Text = ""
    expires_hours: Hours = 24.0


class NewAdminToken(Request, frozen=True, kw_only=True):
    """A token that may do everything here."""

    name: Text = ""
    expires_hours: Hours | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One token without its value."""

    id: str
    type: Literal["admin", "agent", "machine", "join"]
    name: str
    machine_id: str
    target_machine: str
    target_machines: list[str]
    labels: dict[str, str]
    permissions: dict[str, Any]
    created_at: Time
    expires_at: Time
    last_used: Time
    used_at: Time
    revoked_at: Time
    valid: bool


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Some tokens; `next` is what to ask for `after`, empty at the end."""

    tokens: list[Token]
    next: str


class IssuedToken(Token, frozen=True, kw_only=True):
    """A new token; its value is shown this once."""

    token: str


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """A token that opens nothing any more."""

    status: Literal["revoked"] = "revoked"
    id: str
    revoked_at: Time


class Rotation(Request, frozen=True, kw_only=True):
    """How a token is replaced.

    `grace_seconds`: for how long the old one stays valid; `expires_hours` of the new one: left out, it lives as long
    as the old one was to.
    """

    grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=30 * 86400)] = 0.0
    expires_hours: Hours | msgspec.UnsetType | None = msgspec.UNSET


class TokenPatch(Request, frozen=True, kw_only=True):
    """What a token is from now on; what is left out stays. It cannot reach more, be allowed more or live longer.

    `target_machines`: some of those that it names; `labels`: those that it has, and more (or {}: it reaches none by
    labels any more); `permissions`: fields that replace those of the same name; `expires_hours`: from now.
    """

    name: Text | None = None
    target_machines: Annotated[list[MachineId], msgspec.Meta(max_length=1000)] | None = None
    labels: Labels | None = None
    permissions: PermissionFields | None = None
    expires_hours: Hours | None = None


class Rotated(IssuedToken, frozen=True, kw_only=True):
    """A new token in place of another, which is valid for a while yet (`replaced_until`), or not any more (null)."""

    replaced: str
    replaced_until: Time
