"""The published ports of one agent, and the connections to them."""

from __future__ import annotations

import errno
import functools
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.kernel.network.gateway.crowd import Crowd
from clove.kernel.network.gateway.splice import Splice, reset
from clove.kernel.network.published.inner_socket import connect_inside, require_cookies
from clove.kernel.network.published.port import Port, bind, loopback
from clove.kernel.network.published.port_change import PortChange, leaving_ports, own_socket
from clove.messages.publishing import PublishedPort, PublishRequest

if TYPE_CHECKING:
    from clove.kernel.network.published.limits import PublishLimits
    from clove.sandbox.interface import ISandbox
    from clove.sharing.shares import Shares

__all__ = ["PublishedPorts"]

LINGER: Final = 5.0
"""Seconds for what an agent sent before its end to be read."""
TOLD: Final = 10.0
"""Seconds until the agent's log is told again that connections to one port fail."""


class PublishedPorts:
    """Those of one agent, from its SPAWN to its end; its restarts keep them.

    @param family: shares are counted for it.
    @param close_descriptor: closes what came from inside.
    """

    kernel_log = Logger()

    def __init__(
        self,
        reactor: Any,
        limits: PublishLimits,
        family: int,
        all_ports: Shares,
        all_connections: Shares,
        close_descriptor: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._limits = limits
        self._family = family
        self._all_ports = all_ports
        self._all_connections = all_connections
        self._close_descriptor = close_descriptor
        self._sandbox: ISandbox | None = None
        self._log: Callable[[bytes], None] = lambda line: None
        self._ports: list[Port] = []
        self._opening: dict[Deferred[None], Port] = {}
        self._splices: dict[Splice, Port] = {}
        self._told: dict[Port, float] = {}
        self._crowd = Crowd(reactor, limits, lambda: self._splices, self._resume, self._log_line)
        self._preparing = 0
        self._closed = False

    # which ports there are

    def publish(self, asked: Sequence[PublishRequest]) -> None:
        """Listen for all of them, or for none; see L{prepare}."""
        self.prepare(asked, ()).commit()

    def prepare(self, asked: Sequence[PublishRequest], revoked: Sequence[int]) -> PortChange:
        """Judge a change, and listen for what it publishes; nothing else is changed yet.

        Where something that it revokes listens already, that socket is kept listening.

        @param revoked: ports of the host that are published no more.
        @raise InvalidRequest: not on the host's loopback.
        @raise NotFound: one that it revokes is none of this agent's.
        @raise Unavailable, PermissionDenied: a port of the host is in use, or not for us.
        @raise LimitExceeded: there are too many.
        @raise IsolationUnavailable: this Linux is too old.
        """
        if self._closed:
            raise Unavailable("the agent has ended")
        leaving = leaving_ports(self._ports, revoked)
        if len(self._ports) - len(leaving) + self._preparing + len(asked) > self._limits.ports:
            raise LimitExceeded(
                f"an agent has at most {self._limits.ports} published ports",
                hint="the operator can raise limits.publish.ports",
            )
        hosts = [loopback(one.host) for one in asked]
        if asked:
            require_cookies()
        more = max(0, len(asked) - len(leaving))  # the others take the place of those that leave
        self._all_ports.take(self._family, more)
        bound: list[socket.socket] = []
        try:
            for host, one in zip(hosts, asked, strict=True):
                number = one.port if one.host_port is None else one.host_port
                bound.append(own_socket(leaving, host, number) or bind(host, number))
        except BaseException:
            for each in bound:
                each.close()
            self._all_ports.give(self._family, more)
            raise
        self._preparing += len(asked)
        finish = functools.partial(self._finish, list(revoked), list(asked), bound, more)
        return PortChange(finish)

    def _finish(
        self,
        revoked: list[int],
        asked: list[PublishRequest],
        bound: list[socket.socket],
        taken: int,
        made: bool,
    ) -> None:
        """Make a prepared change, or give up what was prepared for it."""
        self._preparing -= len(asked)
        self._all_ports.give(self._family, taken)
        if not made or self._closed:
            for each in bound:
                each.close()
            if made:
                raise Unavailable("the agent has ended")
            return
        for port in [port for port in self._ports if port.host_port in revoked]:
            self._end(port)
            for splice in [one for one, of in self._splices.items() if of is port]:
                splice.abort()
        self._all_ports.add(self._family, len(asked))  # no more than was taken and is given back
        self._ports += [
            Port(self._reactor, each, one.port, self._has_room, self._take)
            for each, one in zip(bound, asked, strict=True)
        ]

    def _end(self, port: Port) -> None:
        port.close()
        self._ports.remove(port)
        self._told.pop(port, None)
        self._all_ports.give(self._family)
        for opening in [one for one, of in self._opening.items() if of is port]:
            opening.cancel()

    def shown(self) -> list[PublishedPort]:
        """As replies have them."""
        return [port.shown() for port in self._ports]

    def requests(self) -> list[PublishRequest]:
        """What would publish the same ports again, also those that were chosen."""
        return [
            PublishRequest(port=one.inner, host=one.host, host_port=one.host_port)
            for one in self._ports
        ]

    def serve(self, sandbox: ISandbox, log: Callable[[bytes], None]) -> None:
        """Connections lead there from now on.

        @param log: takes lines for the agent's log.
        """
        self._sandbox, self._log = sandbox, log

    def close(self) -> None:
        """The agent has ended: what it has sent may be read for a while. Idempotent."""
        self._closed = True
        for port in list(self._ports):
            self._end(port)
        self._crowd.close()
        self._sandbox = None
        for splice in list(self._splices):
            splice.end_client(LINGER)

    # connections

    def _has_room(self) -> bool:
        return len(self._opening) < self._limits.opening and self._crowd.has_room()

    def _resume(self) -> None:
        for port in self._ports:
            port.resume()

    def _take(self, port: Port, client: socket.socket) -> None:
        refusal = self._all_connections.refusal(self._family)
        if refusal is not None:
            self._tell(port, refusal.message)
            reset(client)
            return
        self._crowd.count += 1
        port.connections += 1
        self._all_connections.add(self._family)
        opening = Deferred.fromCoroutine(self._open(port, client))
        self._opening[opening] = port
        opening.addErrback(self._failed)
        opening.addCallback(lambda _: self._opened(opening))

    def _opened(self, opening: Deferred[None]) -> None:
        del self._opening[opening]
        self._resume()

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.kernel_log.failure("a connection to a published port failed", failure=failure)

    def _connection_ended(self, port: Port) -> None:
        self._crowd.count -= 1
        port.connections -= 1
        self._all_connections.give(self._family)
        self._resume()

    async def _open(self, port: Port, client: socket.socket) -> None:
        try:
            server = await self._reach(port)
        except BaseException as error:
            reset(client)
            self._connection_ended(port)
            if isinstance(error, CloveError):
                self._tell(port, error.message)
            elif isinstance(error, OSError):
                self._tell(port, _reason(error, port))
            else:
                raise
            return
        self._carry(port, client, server)

    async def _reach(self, port: Port) -> socket.socket:
        """@raise CloveError, OSError: the agent's port cannot be reached."""
        sandbox = self._sandbox
        if sandbox is None:
            raise Unavailable("the agent does not run yet")
        descriptors = await sandbox.open_sockets()
        timeout, own = self._limits.connect_timeout, require_cookies()
        close = self._close_descriptor
        return await connect_inside(self._reactor, descriptors, own, port.inner, timeout, close)

    def _carry(self, port: Port, client: socket.socket, server: socket.socket) -> None:
        def ended() -> None:
            del self._splices[splice]
            self._connection_ended(port)

        limits, no_refusals = self._limits, lambda error: None
        ends = (self._reactor, client, server)
        splice = Splice(*ends, None, limits.idle, no_refusals, ended, limits.half_idle)
        self._splices[splice] = port

    # what the agent's log is told

    def _tell(self, port: Port, reason: str) -> None:
        now = self._reactor.seconds()
        if now - self._told.get(port, -TOLD) >= TOLD:
            self._told[port] = now
            self._log_line(f"a connection to {port.where} was reset: {reason}")

    def _log_line(self, text: str) -> None:
        self._log(f"clove: published ports: {text}\n".encode("ascii", "backslashreplace"))


def _reason(error: OSError, port: Port) -> str:
    if error.errno == errno.ECONNREFUSED:
        return f"nothing listens on port {port.inner} in the sandbox"
    if error.errno == errno.ETIMEDOUT:
        return f"port {port.inner} in the sandbox does not answer"
    return os.strerror(error.errno) if error.errno else str(error)
