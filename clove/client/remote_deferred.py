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

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.client.results import EventPush

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


class RemoteDeferredClient(DeferredClient):
    """A connection to a kernel, through its relay; parameters as L{clove.client.remote.RemoteClient}."""

    def __init__(
        self,
        reactor: IReactorTime,
        relay_url: str,
        machine: str,
        *,
        token: str,
        name: str = "",
        ca_file: str | None = None,
        plain: bool = False,
        timeout: float | None = 30.0,
        limits: ClientLimits | None = None,
        on_event: Callable[[EventPush], object] | None = None,
    ) -> None:
        super().__init__(reactor, machine, timeout=timeout, limits=limits, on_event=on_event)
        self._connection = RelayedDeferredConnection(
            RelayAddress.of(relay_url, machine, token, name, ca_file, plain=plain),
            reactor,
            (machine,),
            None,
            self.limits,
            pushed=self._event,
            bounded=lambda greeting: self._within(greeting, 0.0),
        )
