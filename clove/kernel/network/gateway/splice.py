"""Bytes carried between two sockets, both ways, with back-pressure and nothing unbounded.

Works on the sockets themselves rather than on transports: a chunk read from one
is written to the other at once, and only what that does not take is kept, while
nothing more is read.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReadWriteDescriptor
from zope.interface import implementer

__all__ = ["Inspecting", "Refusal", "Splice", "reset"]

CHUNK: Final = 256 << 10
"""Bytes read at once; as much may wait in each direction."""
INSPECTED: Final = 16 << 10
"""Bytes read at once while they are looked at, so that other events have their turn."""
_buffer: Final = memoryview(bytearray(CHUNK))  # used within one doRead only

Refusal = Callable[[Exception], None]


class Inspecting(Protocol):
    """What looks at the client's bytes; see L{clove.kernel.network.gateway.inspection}."""

    transparent: bool
    waiting: bool

    def feed(self, data: bytes) -> bytes:
        """What may pass on; raises to end the connection."""

    def answered(self, data: bytes) -> bytes:
        """The server's bytes while C{waiting}; what may pass to it now. Raises likewise."""

    def ended(self) -> bytes:
        """The client has sent all; what was held back and may pass. Raises likewise."""


def reset(connection: socket.socket) -> None:
    """Close at once, so that the other side sees a reset rather than an end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@implementer(IReadWriteDescriptor)
class _End:
    """One of the two sockets."""

    def __init__(self, splice: Splice, connection: socket.socket, is_client: bool) -> None:
        self.splice = splice
        self.socket = connection
        self.is_client = is_client
        self.waiting = b""
        self.read_all = False  # its end of file was seen
        self.finishing = False  # nothing more is to be sent to it
        self.peer: _End = self

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "splice"

    def doRead(self) -> None:
        try:
            size = self.socket.recv_into(_buffer, self.splice.read_size(self))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.splice.abort()
            return
        self.splice.pass_on(self, _buffer[:size])

    def send(self, data: bytes | memoryview) -> None:
        """Send it, or keep what the socket does not take and hold the other side."""
        try:
            sent = self.socket.send(data) if not self.waiting else 0
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.splice.abort()
            return
        if sent < len(data):
            self.waiting += bytes(data[sent:])
            self.splice.reactor.addWriter(self)
            self.splice.update_polling()

    def finish(self) -> None:
        """Let it know the end of what is sent, when all is."""
        self.finishing = True
        if not self.waiting:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)

    def doWrite(self) -> None:
        waiting, self.waiting = self.waiting, b""
        self.send(waiting)
        if self.waiting or self.splice.closed:
            return
        self.splice.reactor.removeWriter(self)
        if self.finishing:
            self.finish()
        self.splice.update_polling()

    def connectionLost(self, reason: object) -> None:
        self.splice.abort()


class Splice:
    """Joins a client and a server until both have ended, one breaks, or nothing happens.

    @param refused: called with what the inspection raised; both are reset then.
    @param ended: called once, when both are closed.
    @param half_idle: seconds without a byte when one side has sent all; None: as C{idle}.
    @ivar sent: bytes that went to the server.
    @ivar received: bytes that went to the client.
    """

    def __init__(
        self,
        reactor: Any,
        client: socket.socket,
        server: socket.socket,
        inspection: Inspecting | None,
        idle: float,
        refused: Refusal,
        ended: Callable[[], None],
        half_idle: float | None = None,
    ) -> None:
        self.reactor = reactor
        self.closed = False
        self.sent = self.received = 0
        self._inspection = inspection
        self._refused = refused
        self._ended = ended
        self._idle = idle
        self._half_idle = half_idle
        self._last = reactor.seconds()
        self._answered = True
        self._client = _End(self, client, True)
        self._server = _End(self, server, False)
        self._client.peer, self._server.peer = self._server, self._client
        self._timer = reactor.callLater(idle, self._check_idle)
        self.update_polling()

    def read_size(self, end: _End) -> int:
        """Bytes to read at once from one end."""
        return INSPECTED if end.is_client and self._inspection is not None else CHUNK

    def pass_on(self, end: _End, data: memoryview) -> None:
        """One end gave some bytes, or its end of file."""
        self._last = self.reactor.seconds()
        self._answered = not end.is_client
        inspection = self._inspection
        if inspection is not None and (data or end.is_client):
            self._inspect(inspection, end, bytes(data))
        elif data:
            self._count(end, len(data))
            end.peer.send(data)
        if not data and not self.closed:
            end.read_all = True
            end.peer.finish()
            self._shorten(self._half_idle)
            self.update_polling()

    def _inspect(self, inspection: Inspecting, end: _End, data: bytes) -> None:
        """Have it judged what may pass; the end of what the client sends is no data."""
        try:
            if not end.is_client:
                passed = inspection.answered(data) if inspection.waiting else b""
            else:
                passed = inspection.feed(data) if data else inspection.ended()
        except Exception as error:
            self._refused(error)
            self.abort()
            return
        if not end.is_client:
            self._count(end, len(data))
            end.peer.send(data)
        if passed and not self.closed:
            self._count(self._client, len(passed))
            self._server.send(passed)
        if inspection.transparent:
            self._inspection = None
        self.update_polling()

    def _count(self, end: _End, size: int) -> None:
        if end.is_client:
            self.sent += size
        else:
            self.received += size

    def update_polling(self) -> None:
        """Read where there is room for what would be read; end when both sides have."""
        if self.closed:
            return
        client, server = self._client, self._server
        if client.read_all and server.read_all and not client.waiting and not server.waiting:
            self._close(socket.socket.close)
            return
        held = self._inspection is not None and self._inspection.waiting
        for end in (client, server):
            if end.read_all or end.peer.waiting or (held and end.is_client):
                self.reactor.removeReader(end)
            else:
                self.reactor.addReader(end)

    def idle_since(self, now: float) -> float:
        """Seconds for which it has been of no use; 0 while the client waits for an answer."""
        held = self._client.waiting or self._server.waiting
        return now - self._last if self._answered and not held else 0.0

    def _check_idle(self) -> None:
        left = self._last + self._idle - self.reactor.seconds()
        if left <= 0:
            self._timer = None
            self.abort()
        else:
            self._timer = self.reactor.callLater(left, self._check_idle)

    def end_client(self, linger: float) -> None:
        """Take no more from the client; end when it has what the server has sent.

        @param linger: seconds that it may read nothing of that.
        """
        if not self.closed:
            self._last = self.reactor.seconds()
            self._client.read_all = True
            self._server.finish()
            self._shorten(linger)
            self.update_polling()

    def _shorten(self, idle: float | None) -> None:
        """Wait no longer than that for the next byte."""
        if idle is None or idle >= self._idle or self._timer is None:
            return
        self._idle = idle
        self._timer.reset(max(0, self._last + idle - self.reactor.seconds()))

    def abort(self) -> None:
        """Reset both sides. Idempotent."""
        self._close(reset)

    def _close(self, close: Callable[[socket.socket], None]) -> None:
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for end in (self._client, self._server):
            self.reactor.removeReader(end)
            self.reactor.removeWriter(end)
            end.waiting = b""
            close(end.socket)
        self._ended()
