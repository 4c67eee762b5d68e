"""Where the parts of a relay meet: the only place that makes them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from clove.messages.metrics import ReactorTurns
from clove.relay.changes import Changes
from clove.relay.config import RelayConfig
from clove.relay.denial_writer import DenialWriter
from clove.relay.denials import Denials
from clove.relay.fleet_parts import FleetParts
from clove.relay.forwarded import Proxies
from clove.relay.hub.descriptors import raise_descriptors, within_descriptors
from clove.relay.hub.entrance import Entrance
from clove.relay.hub.hub import Hub
from clove.relay.hub.limits import HubLimits
from clove.relay.listening import HandedPorts, listen
from clove.relay.machines.machines import Machines
from clove.relay.open_store import open_store, store_threads
from clove.relay.records import TokenKind
from clove.relay.recurring import Recurring
from clove.relay.rest.app import Api
from clove.relay.rest.context import Context
from clove.relay.rest.front import Front
from clove.relay.rest.metrics import RequestCounts
from clove.relay.rest.origin import is_address_of
from clove.relay.rest.repeats import Repeats
from clove.relay.rest.site import RestSite
from clove.relay.rest.streams import Streams
from clove.relay.rest.table import ROUTES
from clove.relay.tls import RenewedCertificate
from clove.relay.tokens.logins import Logins
from clove.relay.tokens.tokens import Tokens
from clove.threads.threads import ThreadLimits, Threads

__all__ = ["Parts"]

EXPIRY_SECONDS = 1.0
"""How often what is open is compared with the clocks."""
USED_SECONDS = 60.0
"""How often it is written when tokens were used last."""
SEEN_SECONDS = 1.0
"""How often it is written which machines have connected."""
DENIED_SECONDS = 1.0
"""How often what was refused is written."""
LATE_SECONDS = 1.0
"""How often the store is told what it could not be told of repeated requests."""
TELL_SECONDS = 1.0
"""How often other relays are told which tunnels have changed."""
LOOK_SECONDS = 30.0
"""How often what is open is compared with a shared store, in case that a notification got lost."""
OTHER_DESCRIPTORS = 256
"""Of the store, the log, the loop and what is opened for a moment."""
RENEW_SECONDS = 10.0
"""How often the certificate's files are looked at."""


P = ParamSpec("P")
T = TypeVar("T")


class Parts:
    """A relay's parts.

    @ivar tokens: those of this relay.
    @ivar machines: its registry.
    @ivar rest: the port of the REST API, once L{listen} was called.
    @ivar hub: tunnels and remote agents.
    @ivar fleet: of one of several relays; None: it has its store for itself.
    @ivar hub_port: where they connect, once L{listen} was called.
    @param store_path: file of the store.
    @param turns: of the reactor, as the watchdog counts them.
    @raise CloveError: the store or the certificate cannot be used.
    """

    log = Logger()
    rest: IListeningPort | None = None
    hub_port: IListeningPort | None = None

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        store_path: str,
        turns: ReactorTurns | None = None,
    ) -> None:
        self._reactor = reactor
        self._turns = turns or ReactorTurns()
        self._config = config
        tls = config.tls
        self._tls = RenewedCertificate(tls.certificate, tls.key) if tls.certificate else None
        self._store_threads = store_threads(reactor, config)
        self._threads = Threads(reactor, 1, ThreadLimits(own=1))
        self.store, relay_id = open_store(reactor, config, store_path, self._store_threads)
        self.tokens = Tokens(self.store, reactor, time.time, config.limits.lockout, _elapsed)
        self.machines = Machines(self.store, self.tokens, time.time, config.limits.store)
        self.hub = Hub(reactor, time.time, self._hub_limits())
        self.machines.hub = self.hub
        self._streams = Streams(reactor, config.limits.rest)
        self.fleet: FleetParts | None = None
        if config.store.postgresql:
            store: Any = self.store
            given = self.hub, self.tokens, self.machines, self._threads
            self.fleet = FleetParts(reactor, config, store, relay_id, *given)
        self._claimant = secrets.token_hex(8) if self.fleet is None else self.fleet.name
        routing = None if self.fleet is None else self.fleet.routing
        self._changes = Changes(self.store, self.tokens, self.machines, routing, time.time)
        self._denials = Denials(config.limits.rest.denials, time.time)
        self._audit = DenialWriter(self._denials, self.store, self._claimant)
        self._repeats = Repeats(self.store, self._claimant, reactor, time.time, config.limits.rest)
        self._entrance = Entrance(self.hub, relay_id, self.tokens, self.machines, self._denials.add)
        self._recurring = self._make_recurring()

    def _make_recurring(self) -> Recurring:
        """What is done again and again, and written at the end, too."""
        recurring = Recurring(self._reactor)
        if self._config.store.postgresql:
            recurring.do(LOOK_SECONDS, self._changes.look)
        if self.fleet is not None:
            recurring.do(TELL_SECONDS, self.fleet.routing.tick)
        recurring.do(EXPIRY_SECONDS, self._end_expired)
        if self._tls is not None:
            recurring.do(RENEW_SECONDS, self.renew)
        late = self._repeats.tell_late
        recurring.write(USED_SECONDS, "when tokens were used", self.tokens.write_used)
        recurring.write(SEEN_SECONDS, "which machines connected", self.machines.write_seen)
        recurring.write(DENIED_SECONDS, "what was refused", self._audit.write_some)
        recurring.write(LATE_SECONDS, "what became of repeated requests", late)
        return recurring

    async def _end_expired(self) -> None:
        self.tokens.end_expired()

    def _hub_limits(self) -> HubLimits:
        """Those of the configuration, as far as there are descriptors for them."""
        limits = self._config.limits
        others = limits.rest.connections + OTHER_DESCRIPTORS
        have = raise_descriptors(limits.hub.links + limits.hub.unknown + others)
        found = within_descriptors(limits.hub, others, have)
        if found.links < limits.hub.links:
            self.log.warn(
                "at most {links} tunnels and remote agents: this process may have {have} descriptors "
                "(ulimit -n, LimitNOFILE)",
                links=found.links,
                have=have,
            )
        return found

    def listen(self, handed: HandedPorts | None = None) -> None:
        """Take the ports.

        @param handed: those that are open already.
        @raise Unavailable: one cannot be had.
        @raise InvalidRequest: one was handed over that is not the configuration's.
        """
        config, hub = self._config.rest, self._config.hub
        handed = handed or HandedPorts()
        rest_socket = handed.find("rest", config.listen, config.port)
        hub_socket = handed.find("hub", hub.listen, hub.port)
        requests = RequestCounts()
        context = self._make_context(requests)
        api = Api(context, ROUTES)
        names = frozenset(name.lower() for name in config.hosts)
        proxies = Proxies(config.trusted_proxies)
        front = Front(api.klein.resource(), names, self._denials)
        site = RestSite(self._reactor, front, context.limits, requests, proxies)
        self.rest = listen(
            self._reactor, site, config.listen, config.port, self._tls, handed=rest_socket
        )
        factory = self._entrance.listening(
            self._reactor, Proxies(hub.trusted_proxies), partial(is_address_of, names)
        )
        bound = self._entrance.admission_limit
        self.hub_port = listen(
            self._reactor, factory, hub.listen, hub.port, self._tls, bound, hub_socket
        )
        if self.fleet is not None:
            self.fleet.listen(self._tls)

    def _make_context(self, requests: RequestCounts) -> Context:
        """What requests of the REST API are served with."""
        limits = self._config.limits.rest
        return Context(
            tokens=self.tokens,
            machines=self.machines,
            store=self.store,
            limits=limits,
            clock=self._reactor,
            wall=time.time,
            started=self._reactor.seconds(),
            requests=requests,
            repeats=self._repeats,
            turns=self._turns,
            streams=self._streams,
            denials=self._denials,
            audit=self._audit,
            other_callers=None if self.fleet is None else self.fleet.callers.find,
            logins=Logins(limits.logins, limits.logins_per_address),
        )

    def start(self) -> None:
        """Begin what goes on beside requests.

        @raise RuntimeError: the operating system gives no more threads.
        """
        self._store_threads.start()
        self._threads.start()
        self.hub.start()
        if self._config.store.postgresql:
            self.store.observe(self._changes)
        if self.fleet is not None:
            Deferred.fromCoroutine(self.fleet.start())
        self._recurring.start()

    async def first_token(
        self, keep: Callable[[str], Awaitable[None]] | None = None, *, another: bool = False
    ) -> str | None:
        """The text of a new admin token, if there is no valid one.

        @param keep: stores the text before the token is valid: a valid one is not lost by that.
        @param another: or even if there is.
        """
        if not another and await self.store.count_tokens(TokenKind.ADMIN, time.time()):
            return None
        text, record = self.tokens.make(TokenKind.ADMIN, name="made at a start")
        if keep is not None:
            await keep(text)
        await self.store.add_token(record)
        return text

    def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Have a function that may wait for a disk called in a thread."""
        return self._threads.run(work, *args, **kwargs)

    async def stop(self) -> None:
        """Serve no more, and keep what is to be kept."""
        link_port = None if self.fleet is None else self.fleet.port
        for port in (self.rest, self.hub_port, link_port):
            stopping = None if port is None else port.stopListening()
            if stopping is not None:
                await stopping
        self._entrance.stop()
        if self.fleet is not None:
            await self.fleet.routing.drain()
        await self.hub.drain()
        self._streams.stop()
        await self.hub.stop()
        self._recurring.stop()
        if self.fleet is not None:
            await self.fleet.stop()
        await self._recurring.write_last()
        await self.store.close()
        self.release()

    def release(self) -> None:
        """End the threads."""
        self._store_threads.stop()
        self._threads.stop()

    async def renew(self) -> None:
        """Read the certificate again, if its files have changed."""
        if self._tls is not None:
            await self._threads.run(self._tls.renew)


def _elapsed() -> float:
    """Seconds since the machine has started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
