"""The remote agents that are connected to the other relays of a database."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from clove.errors import Unavailable
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.peers import Peers
from clove.relay.machines.caller_query import CallerQuery, CallersFound
from clove.relay.records import RelayRecord
from clove.relay.store.route_calls import RouteCalls

__all__ = ["FarCallers"]


class FarCallers:
    """Asks every other relay that runs, all at once."""

    def __init__(self, store: RouteCalls, peers: Peers, identity: RelayIdentity) -> None:
        self._store = store
        self._peers = peers
        self._identity = identity

    async def find(self, query: CallerQuery) -> CallersFound:
        """What they have; one that does not answer is counted.

        @raise Unavailable: the store does not answer.
        """
        relays = await self._store.relays()
        asked = [
            Deferred.fromCoroutine(self._ask(relay, query))
            for relay in relays
            if relay.relay != self._identity.name
        ]
        found = await gatherResults(asked, consumeErrors=True)
        return CallersFound(
            callers=[each for one in found for each in one.callers],
            total=sum(one.total for one in found),
            missing=sum(one.missing for one in found),
        )

    async def _ask(self, relay: RelayRecord, query: CallerQuery) -> CallersFound:
        try:
            link = await self._peers.link(relay)
            return await link.callers(query)
        except Unavailable:
            return CallersFound(missing=1)
