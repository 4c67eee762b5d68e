"""Names, the gateways of sandboxed agents, and the syscall HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.gateway import Gateways
from clove.kernel.network.host_resolver import host_resolver
from clove.kernel.network.known_hosts import KnownHosts

if TYPE_CHECKING:
    from clove.kernel.principal import Principal
    from clove.kernel.wiring.foundation import Foundation

__all__ = ["Network"]


class Network:
    """What reaches other hosts.

    @param refused: told of a connection that a gateway has refused.
    @param carried: told of one that has ended.
    @ivar names: the threads that look names up.
    """

    def __init__(
        self,
        foundation: Foundation,
        refused: Callable[[Principal, str, int, str, str], None],
        carried: Callable[[Principal, str, int, int, int], None],
    ) -> None:
        reactor, limits = foundation.reactor, foundation.limits
        # Each name that is looked up has a thread, and waits for no other.
        lookups = limits.http.max_lookups + limits.gateway.all_lookups
        resolver, self.names = host_resolver(reactor, lookups)
        known = KnownHosts(foundation.config.egress.hosts, resolver)
        self.gateways = Gateways(
            reactor,
            limits.gateway,
            known,
            refused=refused,
            carried=carried,
            shares=limits.shares,
        )
        self.egress = Egress(
            reactor,
            limits.http,
            resolver=known,
            shares=limits.shares,
            load=foundation.import_later,
        )
