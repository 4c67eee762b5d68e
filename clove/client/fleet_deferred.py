"""A relay's REST API as a client for programs that run on Twisted::

    async def main(reactor):
        fleet = DeferredFleetClient(reactor, "https://relay.example.org:8766", token)
        print((await fleet.status())["machines"])
        async for machine in fleet.machines():
            print(machine["machine_id"], machine["presence"])

Every method of L{clove.client.fleet_methods.FleetMethods} is one of this class: what the blocking
client returns it gives as a Deferred, and where that gives one item after the other, so does this, to C{async
for}. Streams are read at the pace of that loop. Leave one early with C{contextlib.aclosing}: its connection is
closed then. As with the blocking client the token goes to the relay that was named alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from clove.client.fleet_methods import FleetMethods
from clove.client.fleet_plan import Asked, Item, Next, Opened, Planned, Wait, advance
from clove.client.fleet_treq import EventReader, FleetTreq
from clove.errors import CloveError, ConnectionLost

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

__all__ = ["DeferredFleetClient"]

T = TypeVar("T")


class DeferredFleetClient(FleetMethods):
    """Machines, tokens and remote agents of one relay; parameters but the first, and errors, as
    L{clove.client.fleet.FleetClient} has them.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        url: str,
        token: str,
        *,
        ca_file: str | None = None,
        timeout: float = 30.0,
        plain: bool = False,
    ) -> None:
        self._reactor = reactor
        self._relay = FleetTreq(reactor, url, token, ca_file, timeout, plain)

    def ask(self, asked: Asked) -> Deferred[dict[str, Any]]:
        """Make one request. Cancelled, it closes its connection."""
        return Deferred.fromCoroutine(self._relay.call(asked))

    async def each(self, planned: Planned[T]) -> AsyncIterator[T]:
        """Perform a plan; gives its items as they come."""
        steps = planned.steps()
        performed = _Performed(self._reactor, self._relay)
        with contextlib.closing(steps), performed:
            step = advance(steps)
            while step is not None:
                if isinstance(step, Item):
                    yield step.value
                    step = advance(steps)
                    continue
                try:
                    result = await performed.of(step)
                except CloveError as error:
                    step = advance(steps, error=error)
                else:
                    step = advance(steps, result)


class _Performed(contextlib.AbstractContextManager["_Performed", None]):
    """Steps, and the stream that one of them has opened."""

    def __init__(self, reactor: Any, relay: FleetTreq) -> None:
        self._reactor = reactor
        self._relay = relay
        self._events: EventReader | None = None

    async def of(self, step: Asked | Next | Wait) -> Any:
        """What comes of it."""
        if isinstance(step, Next):
            if self._events is None:
                raise ConnectionLost("no stream is open")
            return await self._events.next()
        if isinstance(step, Wait):
            return await deferLater(self._reactor, step.seconds)
        if isinstance(step, Opened):
            self._close()
            self._events = await self._relay.opened(step)
            return None
        return await self._relay.call(step)

    def __exit__(self, *exception: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None
