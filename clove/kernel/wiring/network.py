"""Names, the gateways of sandboxed agents, and the syscall HTTP."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.kernel.llm.settings import Route
from clove.kernel.network.authorities import bundle, read_certificates
from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.gateway import Gateways
from clove.kernel.network.host_resolver import host_resolver
from clove.kernel.network.known_hosts import KnownHosts, TranslatedNames
from clove.kernel.network.nat64 import Nat64
from clove.kernel.network.published import Publisher
from clove.kernel.network.record_lookups import RecordLookups
from clove.kernel.network.way_out import WayOut, is_direct

if TYPE_CHECKING:
    from twisted.internet.interfaces import IHostnameResolver

    from clove.kernel.network.gateway.gateway import Gateway
    from clove.kernel.network.settings import EgressSettings
    from clove.kernel.principal import Principal
    from clove.kernel.state_dir import StateDir
    from clove.kernel.wiring.foundation import Foundation

__all__ = ["Network", "model_route", "prepare_egress"]


class Network:
    """What reaches other hosts.

    @param refused: told of a connection that a gateway has refused.
    @param carried: told of one that has ended.
    @ivar names: the threads that look names up.
    @ivar known: looks names up.
    @ivar way_out: connects to what was found.
    @ivar publisher: what reaches agents from this host.
    @ivar dialler: what reaches them for callers of DIAL.
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
        settings = foundation.config.egress
        known: IHostnameResolver = KnownHosts(settings.hosts, resolver)
        if settings.nat64:
            known = TranslatedNames(Nat64(settings.nat64), known)
        self.known, self.way_out = known, WayOut(reactor, settings, known)
        certificates = read_certificates(settings.ca_file) if settings.ca_file else ()
        self.gateways = Gateways(
            reactor,
            limits.gateway,
            known,
            refused=refused,
            carried=carried,
            shares=limits.shares,
            way_out=self.way_out,
            records=RecordLookups(reactor, self.names, settings.hosts),
            load=foundation.import_later,
        )
        close = functools.partial(foundation.disposal.close_descriptor, "ports")
        self.publisher = Publisher(reactor, limits.publish, limits.shares, close)
        forward = foundation.config.remote.forward
        self.dialler = self.publisher.dialler(limits.remote.dialled, remote=forward)
        self.egress = Egress(
            reactor,
            limits.http,
            resolver=known,
            shares=limits.shares,
            load=foundation.import_later,
            certificates=certificates,
            way_out=self.way_out,
        )

    async def open_gateway(self, principal: Principal, log: Callable[[bytes], None]) -> Gateway:
        """The gateway of an agent (L{clove.kernel.network.gateway.gateways.Gateways.open})."""
        await self.gateways.load()
        return self.gateways.open(principal, log)


def model_route(settings: EgressSettings, host: str) -> Route:
    """How the model service reaches its provider."""
    if is_direct(settings, host):
        return Route(ca_file=settings.ca_file)
    return Route(settings.proxy, settings.proxy_credentials_file, settings.ca_file)


def prepare_egress(settings: EgressSettings, state_dir: StateDir) -> None:
    """Read the files of `[egress]`, and keep for sandboxes what they are to trust. Blocking.

    @raise InvalidRequest: one of them cannot be used.
    """
    if settings.proxy_credentials_file:
        from clove.kernel.network.proxy import proxy_credentials

        proxy_credentials(settings)
    if settings.ca_file:
        state_dir.keep_authorities(bundle(read_certificates(settings.ca_file)))
