"""One agent's way to the network: its sockets answered, its connections judged and carried."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError, PermissionDenied, Unavailable
from clove.kernel.network.gateway.crowd import Crowd
from clove.kernel.network.gateway.inspection import Disagreement, Inspection
from clove.kernel.network.gateway.links import Link, is_own, judge, reason_of
from clove.kernel.network.gateway.listening import Listener, original_destination
from clove.kernel.network.gateway.naming import Naming
from clove.kernel.network.gateway.resolver import Resolver, TcpResolver, UdpResolver
from clove.kernel.network.gateway.splice import Splice, reset
from clove.kernel.network.gateway.synthetic_addresses import MappedName
from clove.kernel.network.gateway.traffic import Carried, Opened, Refused, Traffic

if TYPE_CHECKING:
    from clove.kernel.network.gateway.limits import GatewayLimits
    from clove.kernel.network.lookups import Lookups
    from clove.kernel.network.way_out import WayOut
    from clove.kernel.principal import Principal

__all__ = ["Gateway"]

DNS_IDLE = 30.0


class Gateway:
    """Answers on the sockets that a sandbox handed out, until it is closed.

    @param log: takes lines for the agent's log.
    """

    kernel_log = Logger()

    def __init__(
        self,
        reactor: Any,
        principal: Principal,
        limits: GatewayLimits,
        lookups: Lookups,
        traffic: Traffic,
        way_out: WayOut,
        *,
        log: Callable[[bytes], None],
        refused: Refused,
        carried: Carried,
        opened: Opened | None = None,
    ) -> None:
        self._reactor = reactor
        self._principal = principal
        self._limits = limits
        self._traffic = traffic
        self._way_out = way_out
        self._log = log
        self._refused = refused
        self._carried = carried
        self._opened = opened
        self._naming = Naming(
            reactor, principal, limits, lookups, way_out, self._deny, self._log_line
        )
        naming = self._naming
        self._resolver = Resolver(
            naming.address_for, naming.records_for, limits.ttl, limits.lookups
        )
        self._parts: list[UdpResolver | Listener] = []
        self._queries: set[TcpResolver] = set()
        self._opening: set[Deferred[None]] = set()
        self._splices: dict[Splice, Link] = {}
        self._crowd = Crowd(reactor, limits, lambda: self._splices, self._resume, self._log_line)
        self._closed = False
        traffic.open.setdefault(principal.agent_id, set()).add(self)

    def adopt(self, fds: Sequence[int]) -> None:
        """Take over sockets that were made inside; see L{clove.sandbox.inside.egress_sockets}."""
        for descriptor in fds:
            taken = socket.socket(fileno=descriptor)
            taken.setblocking(False)
            if self._closed:
                taken.close()
            elif taken.type == socket.SOCK_DGRAM:  # the first of a sandbox
                self._close_parts()  # those of an attempt with more isolation, which failed
                self._parts.append(UdpResolver(self._reactor, taken, self._resolver))
            else:
                dns = taken.getsockname()[1] == 53
                take = self._accept_query if dns else self._accept
                room = (lambda: True) if dns else self._crowd.has_room
                self._parts.append(Listener(self._reactor, taken, room, take))

    def close(self) -> None:
        """End everything at once. Idempotent."""
        self._closed = True
        mine = self._traffic.open.get(self._principal.agent_id, set())
        mine.discard(self)
        if not mine:
            self._traffic.open.pop(self._principal.agent_id, None)
        self._close_parts()
        self._crowd.close()
        for query in list(self._queries):
            query.close()
        for opening in list(self._opening):
            opening.cancel()
        for splice in list(self._splices):
            splice.abort()

    def judge_again(self) -> None:
        """The agent's permissions have changed: end what they allow no more.

        A connection that is not looked at, and would be if it began now, ends too. Those that
        are being made are judged again before they are carried.
        """
        for splice, link in list(self._splices.items()):
            try:
                link.judge_again(self._principal.permissions)
            except PermissionDenied as error:
                self._deny(link.host, link.port, error.rule, error.hint or error.message)
                splice.abort()

    def _close_parts(self) -> None:
        for part in self._parts:
            part.close()
        self._parts.clear()

    # names

    def _accept_query(self, connection: socket.socket) -> None:
        if len(self._queries) >= self._limits.resolver_connections:
            connection.close()
            return
        query = TcpResolver(
            self._reactor, connection, self._resolver, DNS_IDLE, self._queries.discard
        )
        self._queries.add(query)

    # connections

    def _accept(self, client: socket.socket) -> None:
        try:
            address, port = original_destination(client)
        except OSError:
            client.close()
            return
        refusal = self._traffic.shares.refusal(self._principal.family)
        if refusal is not None:
            self._log_line(f"{address}:{port} refused: {refusal.message}")
            reset(client)
            return
        self._crowd.count += 1
        self._traffic.shares.add(self._principal.family)
        opening = Deferred.fromCoroutine(self._open(client, address, port))
        self._opening.add(opening)
        opening.addErrback(self._failed)
        opening.addCallback(lambda _: self._opening.discard(opening))

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.kernel_log.failure("a connection could not be carried", failure=failure)

    def _connection_ended(self) -> None:
        self._crowd.count -= 1
        self._traffic.shares.give(self._principal.family)
        self._resume()

    def _resume(self) -> None:
        for part in self._parts:
            if isinstance(part, Listener):
                part.resume()

    async def _open(self, client: socket.socket, address: str, port: int) -> None:
        name = self._naming.addresses.host_at(address)
        host = address if name is None else name.host
        try:
            server, found = await self._reach(address, name, port)
        except BaseException as error:
            reset(client)
            self._connection_ended()
            if isinstance(error, PermissionDenied):
                self._deny(host, port, error.rule, error.hint or error.message)
            elif isinstance(error, CloveError | OSError):
                self._log_line(f"{host}:{port} failed: {reason_of(error)}")
            else:
                raise
            return
        self._carry(client, server, host, port, found, name is not None)

    async def _reach(
        self, address: str, name: MappedName | None, port: int
    ) -> tuple[socket.socket, tuple[str, ...]]:
        """Judge, resolve, judge the addresses, dial; after each wait by the permissions of then.

        @return: the connection, and the addresses that were judged.
        @raise PermissionDenied: policy refuses the host, its port or an address.
        @raise Unavailable, LimitExceeded, OSError: it cannot be reached.
        """
        if name is None and is_own(address):
            raise Unavailable("no name has this address any more; look it up again")
        principal, host = self._principal, address if name is None else name.host
        judge(principal.permissions, host, port)
        found = (address,) if name is None else tuple(await self._naming.find(name, port))
        judge(principal.permissions, host, port, found)
        server = await self._way_out.dial(host, found, port, self._limits.connect_timeout)
        try:
            judge(principal.permissions, host, port, found)
        except BaseException:
            reset(server)
            raise
        return server, found

    def _carry(
        self,
        client: socket.socket,
        server: socket.socket,
        host: str,
        port: int,
        found: tuple[str, ...],
        named: bool,
    ) -> None:
        permissions = self._principal.permissions
        inspection = None
        if named and permissions.allowed_domains:
            inspection = Inspection(host, port, permissions, self._limits.head)

        def refused(error: Exception) -> None:
            if isinstance(error, Disagreement):
                self._deny(host, port, error.rule, str(error))
            else:
                failure = Failure(error)
                self.kernel_log.failure("a connection could not be inspected", failure=failure)

        def ended() -> None:
            del self._splices[splice]
            self._traffic.sent += splice.sent
            self._traffic.received += splice.received
            self._connection_ended()
            self._carried(self._principal, host, port, splice.sent, splice.received)

        splice = Splice(
            self._reactor, client, server, inspection, self._limits.idle, refused, ended
        )
        self._splices[splice] = Link(host, port, found, named, inspection)
        if self._opened is not None:
            self._opened(host, port)

    # denials and failures

    def _deny(self, host: str, port: int, rule: str, reason: str) -> None:
        where = f"{host}:{port}" if port else f"the name {host}"
        self._log_line(f"{where} refused ({rule}): {reason}")
        self._refused(self._principal, host, port, rule, reason)

    def _log_line(self, text: str) -> None:
        self._log(f"clove: network: {text}\n".encode("ascii", "backslashreplace"))
