"""What a relay has beside others that share its database: links to and from them, and the table of tunnels."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twisted.internet.interfaces import IListeningPort

from clove.relay.config import RelayConfig
from clove.relay.link.far_callers import FarCallers
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.peers import Peers
from clove.relay.link.routes import Routing
from clove.relay.link.serving import LinkServing
from clove.relay.listening import listen
from clove.relay.store.route_calls import RouteCalls
from clove.relay.tls import RenewedCertificate

if TYPE_CHECKING:
    from clove.relay.hub.hub import Hub
    from clove.relay.machines.machines import Machines
    from clove.relay.tokens.tokens import Tokens
    from clove.threads.threads import Threads

__all__ = ["FleetParts"]


class FleetParts:
    """Parts of one of several relays.

    @ivar name: of this start of the relay.
    @ivar callers: remote agents of the others.
    @ivar port: where the others connect, once L{listen} was called; None: nowhere.
    """

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        store: RouteCalls,
        fleet_id: str,
        hub: Hub,
        tokens: Tokens,
        machines: Machines,
        threads: Threads,
    ) -> None:
        self._reactor = reactor
        self._settings = config.link
        limits = config.limits.link
        identity = RelayIdentity(fleet_id)
        self.name = identity.name
        self._peers = Peers(
            reactor,
            identity,
            limits,
            threads,
            ca_file=config.link.ca_file,
            plain=config.link.plain,
        )
        self.routing = Routing(store, hub, self._peers, identity, limits, time.time)
        self._serving = LinkServing(hub, identity, store, tokens, machines, limits)
        self.callers = FarCallers(store, self._peers, identity)
        hub.elsewhere = self.routing
        machines.elsewhere = self.routing
        self.port: IListeningPort | None = None

    def listen(self, tls: RenewedCertificate | None) -> None:
        """Take the port.

        @raise Unavailable: it cannot be had.
        """
        settings = self._settings
        if settings.url:
            factory = self._serving.admission.factory(self._reactor)
            self.port = listen(self._reactor, factory, settings.listen, settings.port, tls)

    @property
    def url(self) -> str:
        """Where others reach this relay; "": nowhere."""
        url = self._settings.url
        if self.port is None or urlsplit(url).port is not None:
            return url
        return f"{url.rstrip('/')}:{self.port.getHost().port}"  # type: ignore[attr-defined] # an IAddress

    async def start(self) -> None:
        """Tell the others that this relay is there."""
        self._peers.start()
        self._serving.start()
        await self.routing.begin(self.url)

    async def stop(self) -> None:
        """End the links; the port is closed before."""
        self._peers.stop()
        self._serving.stop()
        await self.routing.end()
