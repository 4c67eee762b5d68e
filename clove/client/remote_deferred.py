"""The Deferred client through a relay (L{clove.client.remote})."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool

from clove.client.deferred import DeferredClient
from clove.client.deferred_connection import DeferredConnection
from clove.client.limits import ClientLimits
from clove.client.link import Link
from clove.client.relay_connection import RelayAddress
from clove.client.relay_link import dial_relay
from clove.client.relayed import RelayedClient

if TYPE_CHECKING:
    from typing import Unpack

    from twisted.internet.interfaces import IReactorTime

    from clove.client.relayed import RelayOptions
    from clove.client.results import EventPush
    from clove.errors import ConnectionLost

__all__ = ["RemoteDeferredClient"]


class RelayedDeferredConnection(DeferredConnection):
    """A connection through a relay."""

    def __init__(self, address: RelayAddress, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._address = address

    async def _dial(self) -> Link:
        link = Link(self._limits, self._pushed)
        factory = Factory.forProtocol(lambda: link)
        factory.noisy = False
        reactor = cast("Any", self._reactor)
        pool = reactor.getThreadPool()
        with await deferToThreadPool(reactor, pool, dial_relay, self._address, None) as end:
            end.setblocking(False)
            reactor.adoptStreamConnection(end.fileno(), end.family, factory)
        return link


class RemoteDeferredClient(RelayedClient, DeferredClient):
    """A connection to a kernel, through its relay; parameters but the first as L{RelayedClient} has them.

    @param on_event: as L{DeferredClient} has it.
    @param on_events_lost: likewise.
    """

    _connects = RelayedDeferredConnection

    def __init__(
        self,
        reactor: IReactorTime,
        relay_url: str,
        machine: str,
        *,
        on_event: Callable[[EventPush], object] | None = None,
        on_events_lost: Callable[[ConnectionLost], object] | None = None,
        **options: Unpack[RelayOptions],
    ) -> None:
        self._reactor = reactor
        self.on_event = on_event
        self.on_events_lost = on_events_lost
        super().__init__(relay_url, machine, **options)

    def _connected(self, address: RelayAddress, limits: ClientLimits) -> RelayedDeferredConnection:
        return self._connects(
            address,
            self._reactor,
            (f"{address.machine} at {address.host}",),
            None,
            limits,
            pushed=self._event,
            pushing_lost=self._events_lost,
            bounded=lambda greeting: self._within(greeting, 0.0),
        )
