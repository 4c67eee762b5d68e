"""What the hub asks of the other parts of the relay: tokens and machines, as it sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Bearer", "MachineDoor", "TokenDoor"]


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

    async def identify(self, token: str, source: str) -> Any:
        """Who bears this token; raises NotAuthenticated or LockedOut."""

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
