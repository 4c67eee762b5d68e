"""Two ways of writing to a peer: to a Unix socket itself, or through any transport.

The first is fast, and only for a transport that is known to be a Unix socket's.
Whatever else carries a connection (TLS, a wrapper, memory) has a socket of its
own further down, if any: what is written there would go out in clear, or into
the middle of a record. So it gets everything by `write`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import unix
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

__all__ = ["Outgoing", "TransportOutput", "UnixOutput", "unix_socket"]

PIECE = 1 << 16
"""Bytes handed to a transport before it is asked again whether it wants more."""


def unix_socket(transport: object) -> socket.socket | None:
    """The socket of a transport that is a plain Unix connection; None for every other."""
    if not isinstance(transport, (unix.Server, unix.Client)):
        return None
    end = getattr(transport, "socket", None)
    known = isinstance(end, socket.socket) and end.family == socket.AF_UNIX
    return end if known else None


class Outgoing(Protocol):
    """What a connection writes through."""

    @property
    def unsent(self) -> int:
        """Bytes that wait."""

    @property
    def send_now(self) -> Callable[[bytes], int]:
        """Write what can be written at once; how much that was.

        It raises OSError when the peer is gone, BlockingIOError when nothing can be.
        """

    def keep(self, data: bytes) -> None:
        """Write it later; `drained` is called when all that is kept was written."""

    def flush(self) -> None:
        """Leave everything to the transport: the connection is to be closed after it."""


@implementer(IPullProducer)
class UnixOutput:
    """Writes to the socket; what it does not take waits in the transport's buffer.

    @param drained: called when nothing waits any more.
    """

    def __init__(self, transport: Any, end: socket.socket, drained: Callable[[], None]) -> None:
        self._transport = transport
        self._drained = drained
        self._registered = False
        self.send_now: Callable[[bytes], int] = end.send

    @property
    def unsent(self) -> int:
        """Bytes in the transport's buffers."""
        transport = self._transport
        return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)

    def keep(self, data: bytes) -> None:
        """Leave it to the transport."""
        self._transport.write(data)
        if not self._registered:
            self._registered = True
            self._transport.registerProducer(self, False)

    def flush(self) -> None:
        """The transport has everything already."""

    def resumeProducing(self) -> None:
        """The transport's buffer is empty (also called once on registration)."""
        transport = self._transport
        if transport.dataBuffer or transport._tempDataBuffer:
            return
        transport.unregisterProducer()
        self._registered = False
        self._drained()

    def stopProducing(self) -> None:
        """The transport is closed."""


@implementer(IPushProducer)
class TransportOutput:
    """Writes through a transport, which says when it has enough.

    @param drained: called when nothing waits any more.
    """

    def __init__(self, transport: Any, drained: Callable[[], None]) -> None:
        self._transport = transport
        self._drained = drained
        self._paused = False
        self._waiting = bytearray()
        transport.registerProducer(self, True)

    @property
    def unsent(self) -> int:
        """Bytes that the transport has not wanted yet."""
        return len(self._waiting)

    def send_now(self, data: bytes) -> int:
        """All of it, or nothing while the transport has enough."""
        if self._paused:
            return 0
        self._transport.write(data)
        return len(data)

    def keep(self, data: bytes) -> None:
        """Hold it until the transport wants more."""
        self._waiting += data

    def flush(self) -> None:
        """Write everything."""
        self._transport.unregisterProducer()
        if self._waiting:
            self._transport.write(bytes(self._waiting))
            self._waiting.clear()

    def pauseProducing(self) -> None:
        """The transport has enough."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport wants more."""
        self._paused = False
        while self._waiting and not self._paused:
            piece = bytes(self._waiting[:PIECE])
            del self._waiting[:PIECE]
            self._transport.write(piece)
        if not self._paused:
            self._drained()

    def stopProducing(self) -> None:
        """The transport is closed."""
        self._waiting.clear()
