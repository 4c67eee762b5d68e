"""Frames over a Twisted transport: limits, flow control, direct writes.

The kernel's connections share this. What is sent goes to the peer at once while
nothing is buffered; a peer that does not read makes this side stop reading from
it, and is cut off past `unsent_limit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone

from clove.framing import DEFAULT_MAX_PAYLOAD, BadFrame, Frame, FrameDecoder
from clove.outgoing import Outgoing, TransportOutput, UnixOutput, unix_socket

if TYPE_CHECKING:
    from twisted.python.failure import Failure

__all__ = ["DescriptorsSent", "FrameProtocol"]


class DescriptorsSent(Exception):
    """The peer attached descriptors to what it sent; none was taken."""


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
    _outgoing: Outgoing

    def __init__(self, max_payload: int = DEFAULT_MAX_PAYLOAD) -> None:
        self.decoder = FrameDecoder(max_payload)
        self.congested = False
        self._reading = True
        self._waiting: list[Deferred[None]] = []
        self._send_now: Callable[[bytes], int] = len  # until there is a connection

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
        """Use the socket itself where it is known to be a Unix socket.

        A Unix transport reads with recvmsg(2) and would take descriptors that a
        peer attaches; plain recv(2) lets the operating system discard them
        (unix(7)), and is faster. A transport whose peer is not trusted so far
        brings its own way to read (`receive_bytes`).
        """
        transport = cast("Any", self.transport)
        end = unix_socket(transport)
        if end is None:
            self._outgoing = TransportOutput(transport, self._all_sent)
        else:
            receive = getattr(transport, "receive_bytes", end.recv)
            transport.doRead = self._reader(receive, transport.bufferSize)
            self._outgoing = UnixOutput(transport, end, self._all_sent)
        self._send_now = self._outgoing.send_now

    def _reader(self, receive: Callable[[int], bytes], size: int) -> Callable[[], object]:
        take = self.dataReceived

        def read() -> object:
            try:
                data = receive(size)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError:
                return CONNECTION_LOST
            except DescriptorsSent:
                self.pause_reading()
                self.frameBroken(BadFrame("descriptors are not accepted here"))
                return None
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
        """Keep bytes until they can be sent, and notice a peer that does not read."""
        self.congested = True  # before: a transport may say at once that it has sent them
        self._outgoing.keep(data)
        unsent = self.unsent
        if not self.has_room(unsent):
            self.overflowed()
        elif unsent > self.resume_below:
            self.pause_reading()

    def finish(self) -> None:
        """Close the connection when what is buffered has been sent."""
        self._outgoing.flush()
        cast("Any", self.transport).loseConnection()

    def when_drained(self) -> Deferred[None]:
        """Fires when the peer has taken all that is buffered; never, if it is lost before."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    @property
    def unsent(self) -> int:
        """Bytes that wait to be read by the peer."""
        return self._outgoing.unsent if self.congested else 0

    def has_room(self, unsent: int) -> bool:
        """Whether so many bytes may wait here."""
        return unsent <= self.resume_below or self.backlog(unsent) <= self.unsent_limit

    def backlog(self, unsent: int) -> int:
        """What counts against `unsent_limit`, if so many bytes wait here."""
        return unsent

    def overflowed(self) -> None:
        """The peer does not read: cut it off."""
        cast("Any", self.transport).abortConnection()

    def _all_sent(self) -> None:
        """Nothing waits any more."""
        self.congested = False
        if not cast("Any", self.transport).disconnecting:
            self.drained()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """What is sent from now on is lost."""
        self.congested = False
        self._send_now = len
