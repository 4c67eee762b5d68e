"""What all gateways share, and what they tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.kernel.network.gateway.gateway import Gateway
    from clove.kernel.principal import Principal
    from clove.sharing.shares import Shares

__all__ = ["Carried", "Opened", "Refused", "Traffic"]

Refused = Callable[["Principal", str, int, str, str], None]
"""Told (principal, host, port or 0 for a name, rule, reason)."""
Carried = Callable[["Principal", str, int, int, int], None]
"""Told (principal, host, port, bytes sent, bytes received) when a connection has ended."""
Opened = Callable[[str, int], None]
"""Told (host, port) when a connection stands, before a byte of it is carried."""


class Traffic:
    """What all gateways share: what they have carried, and how many connections there are.

    @ivar shares: the connections of each family.
    @ivar sent: bytes that agents sent, of connections that have ended.
    @ivar received: bytes that they received, likewise.
    @ivar open: the gateways that are not closed, by principal.
    """

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self.open: dict[int, set[Gateway]] = {}
        self.sent = 0
        self.received = 0

    def figures(self) -> tuple[int, int, int]:
        """Connections, bytes sent, bytes received."""
        return self.shares.used, self.sent, self.received
