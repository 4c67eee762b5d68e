"""One connection of whole messages, and the contract of its receiver."""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

__all__ = ["MessageReceiver", "MessageSocket", "printable"]

REFUSED: Final = 4000
"""RFC 6455, 7.4.2: a close code of our own."""
MOST_REASON: Final = 120
"""Bytes of a reason; WebSockets take 123."""


class MessageReceiver(Protocol):
    """What is told of a connection."""

    def text_received(self, text: bytes) -> None:
        """A text message came."""

    def binary_received(self, data: bytes) -> None:
        """A binary message came."""

    def writable(self) -> None:
        """L{MessageSocket.full} is over."""

    def closed(self, reason: str) -> None:
        """The connection is gone. Called once, and last."""


@implementer(IPushProducer)
class MessageSocket:
    """One WebSocket.

    @ivar full: the peer does not read as fast as is written.
    @ivar paused: nothing more is received for now.
    @ivar address: the peer's, without a port; "" where there is none.
    @ivar receiver: is told what happens.
    @ivar pongs: answers to L{ping} so far.
    """

    __slots__ = ("_gone", "_protocol", "address", "full", "paused", "pongs", "receiver")

    def __init__(self, protocol: Any, address: str = "") -> None:
        self.full = self.paused = False
        self.pongs = 0
        self.address = address
        self.receiver: MessageReceiver | None = None
        self._protocol = protocol
        self._gone = False
        protocol.transport.registerProducer(self, True)

    def known(self) -> None:
        """It is known who is there: the connection does not count as a stranger's any more."""
        self._protocol.known()

    def allow(self, size: int) -> None:
        """Take messages of so many bytes from now on."""
        self._protocol.maxFramePayloadSize = size
        self._protocol.maxMessagePayloadSize = size

    def send(self, message: bytes) -> None:
        """Send a binary message."""
        if not self._gone:
            self._protocol.send_binary(message)

    def send_text(self, text: bytes) -> None:
        """Send a text message."""
        if not self._gone:
            self._protocol.send_text(text)

    def ping(self) -> None:
        """Ask the other end of the WebSocket for a pong."""
        if not self._gone:
            self._protocol.ask()

    def pause(self) -> None:
        """Read no more. Idempotent."""
        if not (self.paused or self._gone):
            self.paused = True
            self._protocol.steer()

    def resume(self) -> None:
        """Read again. Idempotent."""
        if self.paused and not self._gone:
            self.paused = False
            self._protocol.steer()

    def end(self, reason: str) -> None:
        """Close it with a reason; nothing more is received."""
        if not self._gone:
            self.receiver, receiver = None, self.receiver
            self.resume()
            self._protocol.transport.unregisterProducer()
            self._protocol.sendClose(REFUSED, _short(reason))
            self._gone = True
            if receiver is not None:
                receiver.closed(reason)

    def abort(self) -> None:
        """Cut it off at once."""
        if not self._gone:
            self._protocol.dropConnection(abort=True)

    def lost(self, reason: str) -> None:
        """The protocol says that it is gone."""
        self._gone = True
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.closed(reason)

    # the transport's producer

    def pauseProducing(self) -> None:
        """The transport has enough."""
        self.full = True

    def resumeProducing(self) -> None:
        """The transport wants more."""
        self.full = False
        if self.receiver is not None:
            self.receiver.writable()

    def stopProducing(self) -> None:
        """The transport is closed."""


def printable(text: str) -> str:
    """What the other side said, for a line of a log."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _short(reason: str) -> str:
    return reason.encode()[:MOST_REASON].decode("utf-8", "ignore")
