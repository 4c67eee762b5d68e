"""What a relay keeps of tokens and machines, and who a token's bearer is. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec

__all__ = [
    "ADMINISTRATORS",
    "EVERY_MACHINE",
    "Flag",
    "Identity",
    "MachineRecord",
    "RelayRecord",
    "Repeat",
    "RepeatKey",
    "Route",
    "Targets",
    "TokenKind",
    "TokenRecord",
    "TunnelState",
]

ADMINISTRATORS: Final = "admin"
"""What kernels take for the token of all administrators of a relay: they manage the same agents."""


class TokenKind(enum.StrEnum):
    """What a token is for; part of its text."""

    ADMIN = "admin"
    """People and programs that manage the fleet."""
    AGENT = "agent"
    """Remote agents: the machines and permissions that it names."""
    MACHINE = "machine"
    """One machine's tunnel, version 1."""
    JOIN = "join"
    """One machine's first connection; used up by it."""


class Targets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Machines: those named, and those that have all of these labels."""

    machines: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    """Empty: no machine by its labels."""
    every: bool = False
    """All machines, those to come as well."""

    def include(self, machine_id: str, labels: Mapping[str, str]) -> bool:
        """Whether a machine with these labels is one of them."""
        if self.every or machine_id in self.machines:
            return True
        wanted = self.labels.items()
        return bool(wanted) and all(labels.get(key) == value for key, value in wanted)


EVERY_MACHINE: Final = Targets(every=True)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who bears a valid token.

    @ivar token_id: its public name, for logs and revocation.
    @ivar machine_id: of machine and join tokens: the one machine that they are for.
    @ivar targets: of agent tokens: the machines that may be reached.
    @ivar permissions: of agent tokens: fields of docs/wire.md, which the kernel narrows further.
    @ivar expires: seconds since the epoch.
    """

    token_id: str
    kind: TokenKind
    name: str = ""
    machine_id: str = ""
    targets: Targets = Targets()
    permissions: dict[str, Any] = {}
    expires: float | None = None


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One token, without its value. Times are seconds since the epoch.

    @ivar digest: SHA-256 of its text.
    @ivar used: when a join token was used up.
    """

    id: str
    digest: bytes
    kind: TokenKind
    name: str = ""
    machine_id: str = ""
    targets: Targets = Targets()
    permissions: dict[str, Any] = {}
    created: float
    expires: float | None = None
    last_used: float | None = None
    used: float | None = None
    revoked: float | None = None

    def is_valid(self, now: float) -> bool:
        """Whether it still opens anything."""
        over = self.expires is not None and self.expires <= now
        return self.revoked is None and self.used is None and not over

    def identity(self) -> Identity:
        """What its bearer is."""
        return Identity(
            token_id=self.id,
            kind=self.kind,
            name=self.name,
            machine_id=self.machine_id,
            targets=EVERY_MACHINE if self.kind is TokenKind.ADMIN else self.targets,
            permissions=self.permissions,
            expires=self.expires,
        )


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a machine that an operator should look at, and when it was seen last."""

    what: str
    at: float


class MachineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. Times are seconds since the epoch.

    @ivar name: for people; the id stays.
    @ivar address: from which its tunnel came last.
    @ivar versions: of its kernel, Python and Linux, as it says.
    @ivar isolation: what `clove doctor` reports there, as it says; JSON, that is handed on as it is.
    @ivar public_key: Ed25519, 32 bytes; None: it has joined with none (version 1, or not yet).
    @ivar draining: no new agents are to be started there.
    """

    machine_id: str
    name: str = ""
    provider: str = ""
    labels: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    address: str = ""
    versions: dict[str, str] = {}
    isolation: msgspec.Raw = msgspec.Raw(b"{}")
    public_key: bytes | None = None
    created: float
    last_seen: float | None = None
    draining: bool = False
    flags: tuple[Flag, ...] = ()


class RelayRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A relay that runs, of those that share a database.

    @ivar relay: its name, made at each start.
    @ivar url: where other relays reach it; "": nowhere.
    @ivar public_key: Ed25519, 32 bytes, made at each start: what it proves to other relays.
    @ivar draining: it is about to stop.
    """

    relay: str
    url: str
    public_key: bytes
    draining: bool = False


class TunnelState(msgspec.Struct, frozen=True, kw_only=True):
    """A machine's tunnel as its relay tells the others.

    @ivar instance: of the kernel (version 2).
    @ivar version: of the tunnel.
    @ivar presence: connected, stale or disconnected.
    @ivar since: seconds since the epoch.
    """

    machine_id: str
    instance: str = ""
    version: int = 2
    presence: str = "connected"
    since: float = 0.0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A tunnel at another relay, and that relay."""

    tunnel: TunnelState
    relay: RelayRecord


class RepeatKey(msgspec.Struct, frozen=True):
    """An idempotency key: each token has keys of its own.

    @ivar machine_id: of a request for several machines, what it is on this one; "": the request itself.
    """

    token_id: str
    key: str
    machine_id: str = ""


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request with an idempotency key.

    @ivar ours: it is to be done now, by the one that asked.
    @ivar doubtful: it may have been done before by one who has not told.
    @ivar answer: it was done; None, and not ours: another is doing it.
    """

    ours: bool = False
    doubtful: bool = False
    answer: bytes | None = None
