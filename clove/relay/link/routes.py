"""Which relay has which machine's tunnel: this one tells the others of its own, and asks about theirs.

What it tells is believed while its lease lasts. The lease is one row, renewed by one statement, however
many tunnels there are; of the tunnels only what has changed is written.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.loop.slices import in_slices
from clove.relay.hub.hub import Hub
from clove.relay.link.identity import RelayIdentity
from clove.relay.link.limits import RelayLinkLimits
from clove.relay.link.peer_link import FarMachine
from clove.relay.link.peers import Peers
from clove.relay.machines.presence import Link
from clove.relay.records import Route, Targets, TunnelState
from clove.relay.store.route_calls import RouteCalls

__all__ = ["Routing"]

RENEWALS: Final = 3
"""In the time that a lease lasts."""
TRIES: Final = 3
MOST_KNOWN: Final = 4096
"""Machines elsewhere of which it is kept to which relay they were connected last, and by which version."""
MOST_FINDING: Final = 64
"""Machines that are looked for at once because a caller of version 1 has lost the way to one."""
_ORDER: Final = {"connected": 0, "stale": 1}
_TAKEN: Final = "another kernel of this machine has connected to another relay"


class Routing:
    """See L{OtherRelays<clove.relay.hub.doors.OtherRelays>}.

    @param wall: seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        store: RouteCalls,
        hub: Hub,
        peers: Peers,
        identity: RelayIdentity,
        limits: RelayLinkLimits,
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._hub = hub
        self._peers = peers
        self._identity = identity
        self._limits = limits
        self._wall = wall
        self._url = ""
        self._draining = False
        self._registered = False
        self._renewed = float("-inf")
        self._written: dict[str, TunnelState] = {}
        self._claimed: set[str] = set()
        self._outdated: set[str] = set()
        self._known: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._finding: set[str] = set()
        self._problem = ""

    # what is told of the tunnels here

    async def begin(self, url: str) -> None:
        """Register.

        @param url: where other relays reach this one; "": nowhere.
        """
        self._url = url
        await self.tick()

    async def tick(self) -> None:
        """Tell what has changed; every second. Without the database it is told later."""
        try:
            await self._tell()
        except CloveError as error:
            if str(error) != self._problem:
                self.log.warn("other relays are not told of tunnels: {error}", error=str(error))
            self._problem = str(error)
        except Exception:
            self.log.failure("other relays are not told of tunnels")
        else:
            self._problem = ""

    async def drain(self) -> None:
        """This relay is about to stop: others are preferred."""
        self._draining, self._registered = True, False
        await self.tick()

    async def end(self) -> None:
        """It stops: what it has told holds no more."""
        try:
            await self._store.withdraw_relay(self._identity.name)
        except CloveError as error:
            self.log.warn("the lease is left to end by itself: {error}", error=str(error))

    async def _tell(self) -> None:
        lease, now = self._limits.lease_seconds, self._hub.clock.seconds()
        if not self._registered:
            record = self._identity.record(self._url, draining=self._draining)
            await self._store.register_relay(record, lease)
            self._registered = True
        claimed, self._claimed = self._claimed, set()
        self._outdated.clear()
        changed, gone = await self._differences(claimed)
        if not (changed or gone) and now < self._renewed + lease / RENEWALS:
            return
        try:
            renewed = await self._store.renew_relay(self._identity.name, lease, changed, gone)
        except BaseException:
            self._claimed |= claimed
            raise
        told = {each.machine_id: each for each in changed}
        for machine_id in self._outdated & told.keys():  # claimed or taken meanwhile: told again
            del told[machine_id]
        if not renewed.known:
            self._registered = False
            self._written.clear()
            await self._tell()
            return
        self._renewed = now
        self._written.update(told)
        for machine_id in gone:
            self._written.pop(machine_id, None)
        if renewed.lapsed:
            await self._cut_lost()

    async def _differences(self, claimed: set[str]) -> tuple[list[TunnelState], list[str]]:
        links = self._hub.links()
        found: list[tuple[Link, TunnelState]] = []
        missing: list[str] = []
        async for some in in_slices(links.items(), self._hub.clock):
            for machine_id, link in some:
                if not _tells(self._written.get(machine_id), link):
                    found.append((link, _state(machine_id, link)))
        async for names in in_slices({*self._written, *claimed}, self._hub.clock):
            missing += [each for each in names if each not in links]
        # since its slice a machine may have gone, or come back with another tunnel
        changed = [state for link, state in found if links.get(state.machine_id) is link]
        return changed, [each for each in missing if each not in links]

    async def _cut_lost(self) -> None:
        """The lease had ended: others may have taken machines meanwhile, and the table decides."""
        for machine_id in await self._store.lost_machines(self._identity.name):
            self._hub.cut(machine_id, _TAKEN)

    def taken(self, relay: str, machine_id: str) -> None:
        """Another relay has taken a machine of this one."""
        if relay == self._identity.name:
            self._forget(machine_id)
            self._hub.cut(machine_id, _TAKEN)

    def _forget(self, machine_id: str) -> None:
        """What the table has of its tunnel is not known any more, whatever is being told of it now."""
        self._written.pop(machine_id, None)
        self._outdated.add(machine_id)

    async def look(self) -> None:
        """Something may have been told that was not heard: compare with the table."""
        noted = set(await self._store.machines_of_relay(self._identity.name))
        for machine_id in [each for each in self._written if each not in noted]:
            del self._written[machine_id]  # written again, if nobody has taken it
        await self._cut_lost()

    # what hubs ask

    async def claim(self, machine_id: str, instance: str, version: int) -> bool:
        """See L{OtherRelays<clove.relay.hub.doors.OtherRelays>}."""
        tunnel = TunnelState(
            machine_id=machine_id, instance=instance, version=version, since=self._wall()
        )
        beaten: list[str] = []
        for _ in range(TRIES):
            if not self._registered:
                await self._tell()
            try:
                against = await self._store.claim_machine(self._identity.name, tunnel, beaten)
            finally:  # it may be noted, whatever was answered
                self._claimed.add(machine_id)
                self._forget(machine_id)
            if not against:
                return True
            for route in against:
                if route.tunnel.presence == "disconnected":
                    beaten.append(route.relay.relay)
                    continue
                link = await self._peers.link(route.relay)
                if await link.answers(machine_id, route.tunnel.instance):
                    return False
                beaten.append(route.relay.relay)
        raise Unavailable("this machine connects to several relays at once", hint="try again")

    async def find(self, machine_id: str, token_id: str) -> FarMachine | None:
        """See L{OtherRelays<clove.relay.hub.doors.OtherRelays>}."""
        problem: Unavailable | None = None
        routes = await self._store.routes(self._identity.name, (machine_id,))
        for route in _best(routes):
            try:
                link = await self._peers.link(route.relay)
            except Unavailable as error:
                problem = error
                continue
            self._known[machine_id] = route.relay.relay, route.tunnel.version
            self._known.move_to_end(machine_id)
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
            return FarMachine(link, machine_id, token_id, route.tunnel.version)
        if problem is not None:
            raise problem
        return None

    def known(self, machine_id: str, token_id: str) -> FarMachine | None:
        """See L{OtherRelays<clove.relay.hub.doors.OtherRelays>}."""
        relay, version = self._known.get(machine_id, ("", 2))
        link = self._peers.known(relay)
        if link is not None:
            return FarMachine(link, machine_id, token_id, version)
        if machine_id not in self._finding and len(self._finding) < MOST_FINDING:
            self._finding.add(machine_id)
            finding = Deferred.fromCoroutine(self.find(machine_id, token_id))
            finding.addErrback(lambda failure: failure.trap(CloveError) and None)
            finding.addBoth(lambda _: self._finding.discard(machine_id))
        return None

    # what REST asks

    async def states(self, machine_ids: Collection[str]) -> dict[str, TunnelState]:
        """The best tunnel that other relays have of each of these machines."""
        routes = await self._store.routes(self._identity.name, machine_ids)
        found: dict[str, TunnelState] = {}
        for route in sorted(routes, key=_rank, reverse=True):
            found[route.tunnel.machine_id] = route.tunnel
        return found

    async def connected(self, targets: Targets) -> int:
        """How many of these machines are connected to some relay."""
        return await self._store.connected_machines(targets)

    async def relays(self) -> int:
        """How many relays run, this one among them."""
        return len(await self._store.relays())


def _tells(written: TunnelState | None, link: Link) -> bool:
    """What was written of a tunnel is what it is."""
    return (
        written is not None
        and written.presence == link.presence
        and written.since == link.since
        and written.instance == link.instance
        and written.version == link.version
    )


def _state(machine_id: str, link: Link) -> TunnelState:
    return TunnelState(
        machine_id=machine_id,
        instance=link.instance,
        version=link.version,
        presence=link.presence,
        since=link.since,
    )


def _rank(route: Route) -> tuple[int, bool]:
    return _ORDER.get(route.tunnel.presence, 2), route.relay.draining


def _best(routes: list[Route]) -> list[Route]:
    """Those by which the machine may be reached, the best first, equal ones in any order."""
    usable = [each for each in routes if each.tunnel.presence in _ORDER]
    random.shuffle(usable)
    return sorted(usable, key=_rank)
