"""Makes the published ports of agents, each with the bounds that all share.

A kernel that publishes none has no use for what carries their connections: 6 modules, 0.4 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.kernel.network.published.dialler import Dialler
from clove.sharing.shares import ShareLimits, Shares

if TYPE_CHECKING:
    from clove.kernel.network.published.limits import PublishLimits
    from clove.kernel.network.published.ports import PublishedPorts

__all__ = ["Publisher"]


class Publisher:
    """The published ports of a kernel.

    @param close_descriptor: closes what came from a sandbox.
    @ivar ports, connections: how many there are.
    """

    def __init__(
        self,
        reactor: Any,
        limits: PublishLimits,
        shares: ShareLimits | None,
        close_descriptor: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._close_descriptor = close_descriptor
        self.ports = Shares(
            "published ports", "limits.publish.all_ports", limits.all_ports, shares, reserve=False
        )
        self.connections = Shares(
            "connections to published ports",
            "limits.publish.all_connections",
            limits.all_connections,
            shares,
            reserve=False,
        )

    def dialler(self, each: int, *, remote: bool) -> Dialler:
        """For callers that connect to agents themselves; parameters as L{Dialler} has them."""
        ends = (self._reactor, self._limits, self.connections, each, self._close_descriptor)
        return Dialler(*ends, remote=remote)

    def open(self, family: int) -> PublishedPorts:
        """Those of one agent, none yet, for its maker to close."""
        from clove.kernel.network.published.ports import PublishedPorts

        return PublishedPorts(
            self._reactor,
            self._limits,
            family,
            self.ports,
            self.connections,
            self._close_descriptor,
        )
