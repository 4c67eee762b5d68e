"""Listening Unix sockets that agents reach, and the connections accepted there.

A peer may attach descriptors to what it sends. The kernel has no use for them, and the process
that closes the last copy waits for that as long as the peer likes. So where Linux can (6.16), the
sockets refuse them: SO_PASSRIGHTS is off before a client can connect, connections inherit that
(unix(7)), and the sender gets EPERM.

On an older kernel they cannot be refused, so the reactor's thread neither receives nor closes them.
It first looks at what is in the queue (a peek says with MSG_CTRUNC that there are descriptors, and
drops copies only) and cuts off a connection that has any; and every close is left to the
L{Disposal}, since a close drops what is still in the queue.

A connection that was made to a socket of systemd's (`clove.systemd.activation`) before the kernel had it may
hold descriptors on every Linux: L{Server} asks each connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Hashable
from typing import Any, Final

import msgspec
from twisted.internet import unix
from twisted.internet.defer import Deferred

from clove.channels.channel import DescriptorsSent
from clove.sandbox.disposal import Disposal
from clove.sharing.rate_limiter import RateLimiter

__all__ = ["ACCEPTS", "SO_PASSRIGHTS", "Admission", "Port", "Server", "refuse_descriptors"]

SO_PASSRIGHTS: Final = 83
"""socket(7), asm-generic/socket.h; missing in Python 3.11's module."""
ACCEPTS: Final = 4
"""Connections accepted at one socket in one turn of the reactor's loop; the rest wait for the next."""
MOST_CLOSES: Final = 64
"""Closes of one owner under way, at most."""
_INT: Final = 4
_PRETEND: Final = "CLOVE_TEST_NO_PASSRIGHTS"
"""Tests set it: then the kernel behaves as on a Linux without SO_PASSRIGHTS."""


def refuse_descriptors(end: socket.socket) -> bool:
    """Have the operating system refuse descriptors sent to this socket; False: it cannot."""
    if _PRETEND in os.environ:
        return False
    try:
        end.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
    except OSError:
        return False
    return end.getsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS) == 0


class Server(unix.Server):
    """The kernel's end of an accepted connection.

    @ivar closed: fires when the socket is really closed; None if it is so as soon
        as the connection is lost.
    """

    closed: Deferred[None] | None = None

    def __init__(
        self, sock: socket.socket, protocol: Any, client: Any, server: Port, *rest: Any
    ) -> None:
        super().__init__(sock, protocol, client, server, *rest)  # type: ignore[no-untyped-call]
        if server.refuses and sock.getsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS) == 0:
            return
        # A byte out of band would otherwise be passed over by a peek and dropped by a read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self.closed = Deferred()
        self._port = server
        self._owner = server.owner or ("uid", _peer_uid(sock))
        self.receive_bytes = self._receive_checked

    def _receive_checked(self, size: int) -> bytes:
        """Read, unless there are descriptors in what would be read.

        @raise DescriptorsSent: there are; they stay where they are.
        """
        end = self.socket
        data, _, flags, _ = end.recvmsg(size, 0, socket.MSG_PEEK)
        if flags & socket.MSG_CTRUNC:
            raise DescriptorsSent
        return end.recv(len(data)) if data else data

    def _closeSocket(self, orderly: bool) -> None:
        closed = self.closed
        if closed is None:
            super()._closeSocket(orderly)  # type: ignore[no-untyped-call]
        else:
            self._port.dispose(self._owner, self.socket, lambda: closed.callback(None))


class Admission(msgspec.Struct, frozen=True):
    """Whose connections a socket accepts, and how many.

    @ivar owner: closes of one owner wait for each other; empty: the peer's user is the owner.
    @ivar most: closes of the owner under way, at which no more connections are accepted.
    @ivar family: the family for which connections count; None: they are not counted.
    @ivar rate: how often those of a family connect; a connection that comes too soon waits in
        the backlog, where it costs nothing.
    """

    owner: Hashable = ""
    most: int = MOST_CLOSES
    family: int | None = None
    rate: RateLimiter | None = None


class Port(unix.Port):
    """A listening socket.

    @ivar owner: see L{Admission}.
    @ivar refuses: the operating system refuses descriptors.
    @param listener: a socket that listens already, whose file stays when this port is closed; None: make one.
    """

    transport = Server

    def __init__(
        self,
        path: str,
        factory: Any,
        *,
        backlog: int,
        mode: int,
        reactor: Any,
        disposal: Disposal,
        admission: Admission,
        listener: socket.socket | None = None,
    ) -> None:
        super().__init__(os.fsencode(path), factory, backlog, mode, reactor)
        self.refuses = False
        self._is_lent = listener is not None
        if listener is not None:
            self.refuses = refuse_descriptors(listener)
            self._preexistingSocket = listener
            self._shouldShutdown = False  # it goes on listening for whoever lent it
        self.owner = admission.owner
        self._disposal = disposal
        self._most = admission.most
        self._family = admission.family
        self._rate = admission.rate if admission.family is not None else None
        self._clock = reactor
        self._pause: Any = None

    def createInternetSocket(self) -> socket.socket:
        """The socket; it refuses descriptors before a client can connect."""
        end: socket.socket = super().createInternetSocket()  # type: ignore[no-untyped-call]
        self.refuses = refuse_descriptors(end)
        return end

    def doRead(self) -> None:
        """Accept some, unless too much of the owner's is still being closed, or it comes too often."""
        if self.owner and self._disposal.pending(self.owner) >= self._most:
            self.stopReading()  # type: ignore[no-untyped-call]
            return
        before, rate, now = self.sessionno, self._rate, self._clock.seconds()
        room = ACCEPTS if rate is None else min(ACCEPTS, rate.room(self._family, now))
        if rate is not None and room < 1:
            self._wait(rate.wait(self._family, now))
            return
        self.numberAccepts = room  # Twisted would take a hundred, and then more
        super().doRead()  # type: ignore[no-untyped-call]
        if rate is not None and self.sessionno > before:
            rate.take(self._family, now, self.sessionno - before)

    def _wait(self, seconds: float) -> None:
        """Leave connections in the backlog for a while: the family has had its number."""
        self.stopReading()  # type: ignore[no-untyped-call]
        if self._pause is None:
            self._pause = self._clock.callLater(seconds, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        if self.connected and not self.disconnecting:
            self.startReading()  # type: ignore[no-untyped-call]

    def loseConnection(self, *reason: Any) -> Any:
        """Accept no more connections."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        return super().loseConnection(*reason)  # type: ignore[no-untyped-call]

    stopListening = loseConnection

    def dispose(
        self, owner: Hashable, end: socket.socket, done: Callable[[], None] | None = None
    ) -> None:
        """Close a socket outside of the reactor's thread."""
        with contextlib.suppress(OSError):  # the peer has gone
            end.shutdown(socket.SHUT_RDWR)  # it is told at once, and can send nothing more

        def over() -> None:
            if self.connected and not self.disconnecting:
                self.startReading()  # type: ignore[no-untyped-call]
            if done is not None:
                done()

        self._disposal.dispose(owner, end.close, over)

    def connectionLost(self, reason: Any) -> None:
        """It is closed; the file of a socket that was lent stays."""
        if self._is_lent:
            super(unix.Port, self).connectionLost(reason)  # type: ignore[no-untyped-call]
        else:
            super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _logConnectionLostMsg(self) -> None:
        """There is one for each agent: its end is said elsewhere."""

    def _closeSocket(self, orderly: bool) -> None:
        """Connections that were not accepted yet are closed with it."""
        if self.refuses or self._is_lent:
            super()._closeSocket(orderly)  # type: ignore[no-untyped-call]
        else:
            self.dispose(self.owner, self.socket)


def _peer_uid(end: socket.socket) -> int:
    """SO_PEERCRED's user id (unix(7))."""
    size = 3 * _INT
    found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int.from_bytes(found[_INT : 2 * _INT], sys.byteorder)
