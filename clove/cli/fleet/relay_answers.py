"""What commands need of a relay's replies: checked before any of it is read, since anything may answer at an address.

A relay may say more, and one of another version does.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from clove.errors import CloveError

if TYPE_CHECKING:
    from clove.client.fleet_plan import Asked

__all__ = ["check_reply"]

Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]


class Status(msgspec.Struct):
    """The relay in numbers."""

    version: str
    uptime_seconds: float
    machines: Count
    agents: Count


class Flag(msgspec.Struct):
    """Something to look at."""

    what: str
    at: datetime


class Machine(msgspec.Struct):
    """One machine."""

    machine_id: str
    name: str
    provider: str
    presence: Literal["connected", "stale", "disconnected"]
    presence_since: datetime | None
    ip_address: str
    created_at: datetime
    metadata: dict[str, Any]
    labels: dict[str, str]
    versions: dict[str, str]
    isolation: dict[str, Any]
    has_key: bool
    draining: bool
    flags: list[Flag]


class Token(msgspec.Struct):
    """What a token is."""

    id: str
    type: str
    name: str
    machine_id: str
    target_machines: list[str]
    labels: dict[str, str]
    permissions: dict[str, Any]
    created_at: datetime
    expires_at: datetime | None
    last_used: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None
    valid: bool


class Issued(Token):
    """One that was made."""

    token: str


class Rotated(Issued):
    """One that was made in place of another."""

    replaced_until: datetime | None


class LoginBegun(msgspec.Struct):
    """A login that somebody has to confirm."""

    user_code: str
    device_code: str
    seconds: Seconds
    interval: Seconds


class LoginToken(msgspec.Struct):
    """A token that was confirmed."""

    token: str


class Login(msgspec.Struct):
    """What has become of it."""

    status: Literal["waiting", "confirmed"]
    token: LoginToken | None = None

    def __post_init__(self) -> None:
        if (self.status == "confirmed") != (self.token is not None):
            raise ValueError("a token is there when the code was confirmed")


class Deployed(msgspec.Struct):
    """An agent that was started."""

    machine_id: str
    agent_id: int
    agent_name: str


class Removed(msgspec.Struct):
    """Something is gone."""

    status: str


class Caller(msgspec.Struct):
    """A remote agent that is connected."""

    agent_name: str
    connected_at: datetime


class Callers(msgspec.Struct):
    """A page of them."""

    agents: list[Caller]


class Denial(msgspec.Struct):
    """Something that was refused."""

    kind: str
    source: str
    what: str
    error: str
    count: Count
    last: datetime


class Denials(msgspec.Struct):
    """A page of them."""

    entries: list[Denial]


class Machines(msgspec.Struct):
    """A page of them."""

    machines: list[Machine]


class Tokens(msgspec.Struct):
    """A page of them."""

    tokens: list[Token]


_ID: Final = "/[^/]+"
_KINDS: Final[tuple[tuple[str, str, type], ...]] = (
    ("GET", "status", Status),
    ("GET", "machines", Machines),
    ("GET|PATCH", f"machines{_ID}", Machine),
    ("GET", "agents", Callers),
    ("POST", "agents/deploy", Deployed),
    ("GET", "tokens", Tokens),
    ("GET|PATCH", f"token|tokens{_ID}", Token),
    ("POST", f"tokens{_ID}", Issued),
    ("POST", f"tokens{_ID}/rotate", Rotated),
    ("POST", "logins", LoginBegun),
    ("POST", "logins/token", Login),
    ("GET", "audit", Denials),
    ("DELETE", f"token|tokens{_ID}|machines{_ID}", Removed),
)
"""Methods and paths below C{/api/v1/}, as regular expressions."""


def check_reply(asked: Asked, reply: dict[str, Any]) -> None:
    """Refuse a reply without what commands read of it.

    @raise CloveError: it is not what a relay answers to that.
    """
    path = asked.path.partition("?")[0].removeprefix("/api/v1/")
    for methods, form, kind in _KINDS:
        if re.fullmatch(methods, asked.method) and re.fullmatch(form, path):
            try:
                msgspec.convert(reply, kind)
            except msgspec.ValidationError as error:
                raise CloveError(
                    f"this is no relay's answer: {error}",
                    hint="is this its address, and its version near this command's?",
                ) from None
            return
