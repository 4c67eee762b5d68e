"""A channel over any of Twisted's stream transports: TLS, TCP, a wrapper, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from clove.channels.channel import Receiver

__all__ = ["StreamChannel"]

PIECE = 1 << 16
"""Bytes handed to a transport before it is asked again whether it wants more."""


@implementer(IPushProducer)
class StreamChannel:
    """Writes through a transport, which says when it has enough."""

    released: Deferred[None] | None = None
    send_descriptors = None
    descriptor = None
    hung_up = False

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._reading = True
        self._full = False
        self._closing = self._gone = False
        self._kept = bytearray()
        self.receiver: Receiver | None = None
        transport.registerProducer(self, True)

    # receiving

    def deliver_to(self, receiver: Receiver) -> None:
        """Set the object that gets what arrives, and the end of the channel."""
        self.receiver = receiver

    def read_through(self, reader: Callable[[], object]) -> Callable[[], object]:
        """The transport reads by itself."""
        return lambda: None

    def on_half_close(self, ended: Callable[[], object]) -> None:
        """It is not to be seen."""

    def pause(self) -> None:
        """Have the transport read no more."""
        if self._reading:
            self._reading = False
            self._transport.pauseProducing()

    def resume(self) -> None:
        """Have the transport read again."""
        if not self._reading:
            self._reading = True
            self._transport.resumeProducing()

    # sending

    def send_now(self, data: bytes) -> int:
        """All of it, or nothing while the transport has enough."""
        if self._full:
            return 0
        self._put(data)
        return len(data)

    def write(self, data: bytes) -> None:
        """Hold it until the transport wants more."""
        self._kept += data
        if not self._full:
            self._put_kept()

    @property
    def unsent(self) -> int:
        """Bytes that the transport has not wanted yet."""
        return len(self._kept)

    def _put(self, data: bytes) -> None:
        self._transport.write(data)

    def _put_kept(self) -> None:
        while self._kept and not self._full:
            piece = bytes(self._kept[:PIECE])
            del self._kept[:PIECE]
            self._put(piece)
        if not self._kept and not self._full and self.receiver is not None:
            self.receiver.drained()

    def pauseProducing(self) -> None:
        """The transport has enough."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport wants more."""
        self._full = False
        self._put_kept()

    def stopProducing(self) -> None:
        """The transport is closed."""
        self._kept.clear()

    # ends

    @property
    def closing(self) -> bool:
        """It is to be closed."""
        return self._closing

    def close(self) -> None:
        """Write everything, then close."""
        if self._gone:
            return
        if not self._closing:
            self._closing = True
            self._transport.unregisterProducer()
        if self._kept:
            self._put(bytes(self._kept))
            self._kept.clear()
        self._end()

    def _end(self) -> None:
        self._transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if not self._gone:
            self._transport.abortConnection()

    def transport_lost(self) -> None:
        """The transport says that it is gone."""
        self._gone = True
        self._kept.clear()
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.lost()
