"""Frames over a Twisted transport: limits, flow control, direct writes.

The kernel's connections and the Deferred client share this. What is sent goes
to the socket at once while nothing is buffered; a peer that does not read
makes this side stop reading from it, and is cut off past `unsent_limit`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from zope.interface import implementer

from clove.framing import DEFAULT_MAX_PAYLOAD, BadFrame, Frame, FrameDecoder

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["FrameProtocol"]


@implementer(IPullProducer)
class FrameProtocol(Protocol):
    """A connection that carries frames.

    @ivar unsent_limit: bytes that may wait to be read by the peer; past it the
        connection is aborted.
    @ivar resume_below: while more bytes than this wait, nothing is read from
        the peer either.
    @ivar congested: the peer reads more slowly than we write.
    """

    unsent_limit = 64 << 20
    resume_below = 1 << 20

    def __init__(self, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        self.decoder = FrameDecoder(max_payload)
        self.congested = False
        self._reading = True
        self._waiting: list[Deferred[None]] = []
        self._send_now: Callable[[bytes], int] = self._write_all

    # what a subclass fills in

    def framesReceived(self, frames: list[Frame]) -> None:
        """Whole frames arrived."""
        raise NotImplementedError

    def partlyReceived(self) -> None:
        """Bytes came that complete no frame; the decoder holds them."""

    def frameBroken(self, error: BadFrame) -> None:
        """The stream cannot be read further; nothing more will be received."""
        raise NotImplementedError

    def drained(self) -> None:
        """The peer took all that was buffered. Subclasses upcall."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    # receiving

    def connectionMade(self) -> None:
        """Use the socket itself where there is one.

        A Unix transport reads with recvmsg(2) and would take descriptors that a
        peer attaches; plain recv(2) lets the operating system discard them
        (unix(7)), and is faster.
        """
        transport = cast("Any", self.transport)
        connection = getattr(transport, "socket", None)
        if isinstance(connection, socket.socket):
            transport.doRead = self._reader(transport, connection)
            self._send_now = connection.send
        else:
            self._send_now = self._write_all

    def _write_all(self, data: bytes) -> int:
        """For transports that are not sockets (in tests, in memory)."""
        cast("Any", self.transport).write(data)
        return len(data)

    def _reader(self, transport: Any, connection: socket.socket) -> Callable[[], object]:
        receive = connection.recv
        take = self.dataReceived
        size = transport.bufferSize

        def read() -> object:
            try:
                data = receive(size)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError:
                return CONNECTION_LOST
            if not data:
                return CONNECTION_DONE
            take(data)
            return None

        return read

    def dataReceived(self, data: bytes) -> None:
        """Feed the decoder."""
        try:
            frames = self.decoder.feed(data)
        except BadFrame as error:
            self.pause_reading()
            self.framesReceived(getattr(error, "frames", []))
            self.frameBroken(error)
            return
        if frames:
            self.framesReceived(frames)
        else:
            self.partlyReceived()

    def pause_reading(self) -> None:
        """Take nothing more from the peer until L{resume_reading}."""
        if self._reading:
            self._reading = False
            cast("Any", self.transport).pauseProducing()

    def resume_reading(self) -> None:
        """Go on reading."""
        if not self._reading:
            self._reading = True
            cast("Any", self.transport).resumeProducing()

    # sending

    def send(self, data: bytes) -> None:
        """Send bytes of whole frames: at once if nothing waits, else buffered."""
        if not self.congested:
            try:
                sent = self._send_now(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                cast("Any", self.transport).loseConnection()
                return
            if sent == len(data):
                return
            data = data[sent:]
        self._buffer(data)

    def _buffer(self, data: bytes) -> None:
        """Leave bytes to the transport, and notice a peer that does not read."""
        transport = cast("Any", self.transport)
        transport.write(data)
        if not self.congested:
            self.congested = True
            transport.registerProducer(self, False)
        unsent = self.unsent
        if not self.has_room(unsent):
            self.overflowed()
        elif unsent > self.resume_below:
            self.pause_reading()

    def when_drained(self) -> Deferred[None]:
        """Fires when the peer has taken all that is buffered; never, if it is lost before."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    @property
    def unsent(self) -> int:
        """Bytes that wait to be read by the peer."""
        if not self.congested:
            return 0
        transport = cast("Any", self.transport)
        return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)

    def has_room(self, unsent: int) -> bool:
        """Whether so many bytes may wait here."""
        return unsent <= self.resume_below or self.backlog(unsent) <= self.unsent_limit

    def backlog(self, unsent: int) -> int:
        """What counts against `unsent_limit`, if so many bytes wait here."""
        return unsent

    def overflowed(self) -> None:
        """The peer does not read: cut it off."""
        cast("Any", self.transport).abortConnection()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty (also called once on registration)."""
        transport = cast("Any", self.transport)
        if transport.dataBuffer or transport._tempDataBuffer:
            return
        transport.unregisterProducer()
        self.congested = False
        if not transport.disconnecting:
            self.drained()

    def stopProducing(self) -> None:
        """The transport is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """What is sent from now on is lost."""
        self.congested = False
        self._send_now = len
