"""An agent's stream by WebSocket: output in binary messages, which the client acknowledges; else JSON texts."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.task import LoopingCall

if TYPE_CHECKING:
    from clove.channels.message_socket import MessageSocket
    from clove.relay.rest.kept_output import Part

__all__ = ["StreamSocket"]

_HEAD: Final = struct.Struct(">QB")
_STREAMS: Final = {"stdout": 1, "stderr": 2}
_MOST_TEXT: Final = 1024
"""Bytes of a message of the client's."""
_PING_SECONDS: Final = 10.0
"""Between two pings; a client that has answered none of three is gone."""


class _Taken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client says."""

    taken: int


class StreamSocket:
    """The reader of one stream.

    @param window: bytes that may be under way, not acknowledged.
    @param since: offset of the first byte.
    @param changed: called when L{paused} or L{taken} may have changed.
    """

    def __init__(
        self,
        socket: MessageSocket,
        clock: Any,
        window: int,
        since: int,
        changed: Callable[[], object],
    ) -> None:
        self._socket = socket
        self._window = window
        self._sent = self._taken = since
        self._changed = changed
        self._pings = 0
        self._alive = LoopingCall(self._ping)
        self._alive.clock = clock
        socket.allow(_MOST_TEXT)
        socket.receiver = self
        self._alive.start(_PING_SECONDS, now=False)

    def end(self, reason: str) -> None:
        """Close it. Idempotent."""
        self._socket.end(reason)

    def _ping(self) -> None:
        if self._pings - self._socket.pongs >= 3:
            self._socket.abort()
        else:
            self._pings += 1
            self._socket.ping()

    # as the reader of a stream

    @property
    def paused(self) -> bool:
        """It takes nothing for now."""
        return self._socket.full or self._sent - self._taken >= self._window

    def output(self, part: Part) -> None:
        """Bytes, behind their offset and the number of their stream."""
        self._socket.send(_HEAD.pack(part.offset, _STREAMS.get(part.stream, 0)) + part.data)
        self._sent = part.next

    def event(self, kind: str, fields: Mapping[str, Any]) -> None:
        """What else there is to tell."""
        if kind == "lost":
            self._taken = max(self._taken, int(fields["next"]))
        self._socket.send_text(msgspec.json.encode({"event": kind, **fields}))

    def taken(self, written: int) -> int:
        """What it has acknowledged."""
        return self._taken

    def abort(self) -> None:
        """Cut its connection."""
        self._socket.abort()

    # as the receiver of a connection

    def text_received(self, text: bytes) -> None:
        """An acknowledgement."""
        try:
            taken = msgspec.json.decode(text, type=_Taken).taken
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            taken = -1
        if not 0 <= taken <= self._sent:
            self.end('a message is {"taken": OFFSET}, of what was sent')
            return
        self._taken = max(self._taken, taken)
        self._changed()

    def binary_received(self, data: bytes) -> None:
        """There are none."""
        self.end("text messages only")

    def writable(self) -> None:
        """The client reads again."""
        self._changed()

    def closed(self, reason: str) -> None:
        """It is gone."""
        if self._alive.running:
            self._alive.stop()
