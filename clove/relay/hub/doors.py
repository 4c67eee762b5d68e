"""What the hub asks of the other parts of the relay: tokens and machines, as it sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from clove.channels.multiplexed import MultiplexedChannel
    from clove.messages.relay import Caller

__all__ = [
    "Alone",
    "Bearer",
    "FarMachine",
    "MachineDoor",
    "OtherRelays",
    "TokenDoor",
    "TunnelChange",
    "TunnelObserver",
]

TunnelChange = Literal["kernel_connected", "kernel_disconnected", "drain"]
TunnelObserver = Callable[[TunnelChange], object]
"""Told what becomes of a tunnel: it is cut, it is resumed, or its relay is about to stop."""


class Bearer(Protocol):
    """Who bears a valid token (L{clove.relay.records.Identity})."""

    @property
    def token_id(self) -> str:
        """Public."""

    @property
    def kind(self) -> str:
        """admin, agent, machine or join."""

    @property
    def machine_id(self) -> str:
        """Of machine and join tokens."""

    @property
    def permissions(self) -> dict[str, Any]:
        """Of agent tokens."""


class TokenDoor(Protocol):
    """L{clove.relay.tokens.tokens.Tokens}."""

    async def identify(self, token: str, source: str, machine: str = "") -> Any:
        """Who bears this token; raises NotAuthenticated or LockedOut."""

    def check_attempt(self, source: str, machine: str = "") -> None:
        """Before a key is looked at; raises LockedOut."""

    def attempt_failed(self, source: str, machine: str = "") -> None:
        """It was wrong; raises LockedOut instead of what would have been said."""

    def attempt_succeeded(self, source: str, machine: str = "") -> None:
        """It was right; raises LockedOut all the same where others have failed meanwhile."""

    def watch(self, identity: Any, cut: Callable[[str], None]) -> Callable[[], None]:
        """Call when it is revoked or expires, perhaps at once; gives the way to stop that."""


class MachineDoor(Protocol):
    """L{clove.relay.machines.machines.Machines}."""

    async def key_of(self, machine_id: str) -> bytes | None:
        """The key that it has joined with."""

    async def join(self, machine_id: str, public_key: bytes, identity: Any) -> object:
        """Keep its key, and use the join token up."""

    async def may_reach(self, identity: Any, machine_id: str) -> bool:
        """May this bearer have calls made there?"""

    def watch(
        self, identity: Any, machine_id: str, cut: Callable[[str], None]
    ) -> Callable[[], None]:
        """As L{TokenDoor.watch}, and when the token does not reach that machine any more."""

    async def seen(
        self,
        machine_id: str,
        *,
        address: str | None = None,
        versions: dict[str, str] | None = None,
        isolation: dict[str, Any] | None = None,
    ) -> None:
        """It is there."""

    async def flag(self, machine_id: str, what: str) -> None:
        """An operator should look at it."""


class FarMachine(Protocol):
    """A machine whose tunnel is at another relay (L{clove.relay.link.peer_link.FarMachine})."""

    machine_id: str
    version: int

    def open(self, caller: Caller) -> MultiplexedChannel:
        """A channel to the kernel; raises Unavailable, or NotImplementedYet if its tunnel has version 1."""

    def open_for_v1(self, caller: Caller) -> MultiplexedChannel:
        """One for frames of version 1, whichever version the tunnel has; raises Unavailable."""

    def observe(self, observer: TunnelObserver) -> Callable[[], None]:
        """Have an observer told what becomes of the tunnel; gives the way out."""


class OtherRelays(Protocol):
    """The relays that share this one's store (L{clove.relay.link.routes.Routing})."""

    async def find(self, machine_id: str, token_id: str) -> FarMachine | None:
        """The way to a machine for a token's bearer; None: it is connected to none of them.

        @raise Unavailable: it is, and that relay cannot be reached.
        """

    def known(self, machine_id: str, token_id: str) -> FarMachine | None:
        """The same, as far as it was found before and the link still stands."""

    async def claim(self, machine_id: str, instance: str, version: int) -> bool:
        """Whether this machine's new tunnel may be here: no other instance of its kernel answers there.

        @raise Unavailable: that cannot be known now.
        """


class Alone:
    """Of a relay that has its store for itself."""

    async def find(self, machine_id: str, token_id: str) -> FarMachine | None:
        """There are no others."""
        return None

    def known(self, machine_id: str, token_id: str) -> FarMachine | None:
        """There are no others."""
        return None

    async def claim(self, machine_id: str, instance: str, version: int) -> bool:
        """It may."""
        return True
