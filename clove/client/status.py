"""What every client tells of its connection. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    from clove.client.exchange import Exchange

    class Reconnecting(Protocol):
        """A connection that is made anew when it was lost."""

        @property
        def socket_path(self) -> str:
            """Where the kernel was reached last."""

        @property
        def is_alive(self) -> bool:
            """Whether it can be used now."""

        @property
        def exchange(self) -> Exchange | None:
            """The last one's; None before the first and after `close`."""


__all__ = ["ConnectionStatus"]


class ConnectionStatus:
    """A client's connection as its user may see it."""

    _connection: Reconnecting

    @property
    def socket_path(self) -> str:
        """Where the kernel was reached; before that, where it is looked for first."""
        return self._connection.socket_path

    @property
    def connected(self) -> bool:
        """Whether there is a live connection."""
        return self._connection.is_alive

    @property
    def is_down(self) -> bool:
        """Whether a relay that leads there has not been reached for longer than a moment."""
        return False

    @property
    def agent_id(self) -> int:
        """Our id, as the kernel gave it; 0 before the first connection."""
        exchange = self._connection.exchange
        return 0 if exchange is None else exchange.agent_id

    @property
    def protocol_version(self) -> int:
        """The version that was agreed on; 0 before the first connection."""
        exchange = self._connection.exchange
        return 0 if exchange is None else exchange.version
