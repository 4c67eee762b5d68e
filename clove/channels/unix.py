"""A channel over a Unix socket, read and written without Twisted's buffers in between.

Only for a transport that is known to be a Unix socket's. Whatever else carries a connection
(TLS, a wrapper) has a socket of its own further down: what is written there would go out in
clear, or into the middle of a record (L{clove.channels.stream}).

A Unix transport reads with recvmsg(2) and would take descriptors that a peer attaches; plain
recv(2) lets the operating system discard them (unix(7)), and is faster. A transport whose peer is
not trusted so far brings its own way to read (C{receive_bytes}).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet import unix
from twisted.internet.interfaces import IPullProducer
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from zope.interface import implementer

from clove.channels.channel import DescriptorsSent

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from clove.channels.channel import Receiver

__all__ = ["UnixChannel", "unix_socket"]


def unix_socket(transport: object) -> socket.socket | None:
    """The socket of a transport that is a plain Unix connection; None for every other."""
    if not isinstance(transport, (unix.Server, unix.Client)):
        return None
    end = getattr(transport, "socket", None)
    known = isinstance(end, socket.socket) and end.family == socket.AF_UNIX
    return end if known else None


@implementer(IPullProducer)
class UnixChannel:
    """Writes to the socket; what it does not take waits in the transport's buffer.

    @param end: the transport's socket.
    """

    def __init__(self, transport: Any, end: socket.socket) -> None:
        self._transport = transport
        self._receive: Callable[[int], bytes] = getattr(transport, "receive_bytes", end.recv)
        self.descriptor: tuple[int, bool] | None = end.fileno(), hasattr(transport, "receive_bytes")
        self._reading = True
        self._registered = False
        self._half_closed = False
        self._ended: Callable[[], object] | None = None
        self.receiver: Receiver | None = None
        self.released: Deferred[None] | None = getattr(transport, "closed", None)
        self.send_now: Callable[[bytes], int] = end.send

    def send_descriptors(self, data: bytes, descriptors: Sequence[int]) -> int:
        """With SCM_RIGHTS (unix(7)); the peer gets copies."""
        return socket.send_fds(self._transport.socket, [data], descriptors)

    # receiving

    def deliver_to(self, receiver: Receiver) -> None:
        """Read for a receiver."""
        self.receiver = receiver
        self._transport.doRead = self._reader(receiver)

    def read_through(self, reader: Callable[[], object]) -> Callable[[], object]:
        """The reactor calls the reader."""
        read: Callable[[], object] = self._transport.doRead
        self._transport.doRead = reader
        return read

    def _reader(self, receiver: Receiver) -> Callable[[], object]:
        receive, take, size = self._receive, receiver.data_received, self._transport.bufferSize

        def read() -> object:
            try:
                data = receive(size)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError:
                return CONNECTION_LOST
            except DescriptorsSent:
                self.pause()
                receiver.descriptors_received()
                return None
            if not data:
                return self._end_of_file()
            take(data)
            return None

        return read

    def on_half_close(self, ended: Callable[[], object]) -> None:
        """As EPOLLRDHUP without EPOLLHUP says (epoll_ctl(2))."""
        self._ended = ended

    def _end_of_file(self) -> object:
        ended, self._ended = self._ended, None
        if ended is None or self.hung_up:
            return CONNECTION_DONE
        self.pause()
        self._half_closed = True
        ended()
        return None

    @property
    def hung_up(self) -> bool:
        """Asks the operating system."""
        poll = select.poll()
        poll.register(self._transport.socket, 0)  # POLLHUP and POLLERR come unasked
        return bool(poll.poll(0))

    def pause(self) -> None:
        """Leave what comes in the socket."""
        if self._reading:
            self._reading = False
            self._transport.pauseProducing()

    def resume(self) -> None:
        """Go on reading."""
        if not (self._reading or self._half_closed):
            self._reading = True
            self._transport.resumeProducing()

    # sending

    @property
    def unsent(self) -> int:
        """Bytes in the transport's buffers."""
        transport = self._transport
        return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)

    def write(self, data: bytes) -> None:
        """Leave it to the transport."""
        self._transport.write(data)
        if not self._registered:
            self._registered = True
            self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """The transport's buffer is empty (also called once on registration)."""
        transport = self._transport
        if transport.dataBuffer or transport._tempDataBuffer:
            return
        transport.unregisterProducer()
        self._registered = False
        if self.receiver is not None:
            self.receiver.drained()

    def stopProducing(self) -> None:
        """The transport is closed."""

    # ends

    @property
    def closing(self) -> bool:
        """The transport is to be closed."""
        return bool(self._transport.disconnecting)

    def close(self) -> None:
        """The transport has everything already."""
        self._transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abortConnection()

    def transport_lost(self) -> None:
        """The transport says that it is gone.

        References both ways are dropped: otherwise thousands of cycles a second would be left to
        the garbage collector, which blocks the reactor while it frees them.
        """
        vars(self._transport).pop("doRead", None)
        self._ended = None
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.lost()
