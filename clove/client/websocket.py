"""The client's side of a WebSocket (RFC 6455), without any I/O. Standard library only.

What a relay needs and no more: no extensions, no subprotocols. Pure, but for the random bytes that the
protocol asks for.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from typing import Final, NamedTuple

from clove.errors import ConnectionLost

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "Decoder",
    "Message",
    "accepted",
    "encode",
    "request",
]

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_CONTINUED: Final = 0
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MOST_HEAD: Final = 16 << 10
_MOST_CONTROL: Final = 125


class Message(NamedTuple):
    """A whole message."""

    kind: int
    data: bytes


def request(host: str, port: int) -> tuple[bytes, bytes]:
    """The opening request, and what the answer has to say."""
    key = base64.b64encode(os.urandom(16)).decode()
    shown = f"[{host}]" if ":" in host else host
    head = (
        f"GET / HTTP/1.1\r\nHost: {shown}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return head.encode(), accepted(key).encode()


def accepted(key: str) -> str:
    """What answers the key of an opening request."""
    digest = hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def encode(kind: int, data: bytes) -> bytes:
    """One message in one frame, masked as a client's has to be."""
    size = len(data)
    if size < 126:
        head = struct.pack(">BB", 0x80 | kind, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | kind, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | kind, 0x80 | 127, size)
    mask = os.urandom(4)
    return head + mask + _masked(data, mask)


def _masked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    pattern = mask * (size // 4 + 1)
    number = int.from_bytes(data, "little") ^ int.from_bytes(pattern[:size], "little")
    return number.to_bytes(size, "little")


class Decoder:
    """Bytes of a server to messages.

    @param accept: what the opening answer has to say.
    @param most: bytes of a message.
    """

    def __init__(self, accept: bytes, most: int) -> None:
        self._accept = accept
        self._most = most
        self._buffer = bytearray()
        self._partial = bytearray()
        self._kind = 0
        self.is_open = False

    @classmethod
    def opened(cls, most: int) -> Decoder:
        """One whose opening answer was read already."""
        made = cls(b"", most)
        made.is_open = True
        return made

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes; give the messages that they complete.

        @raise ConnectionLost: this is no WebSocket, or a message is too long.
        """
        self._buffer += data
        if not self.is_open and not self._read_opening():
            return []
        found: list[Message] = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _read_opening(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD:
                raise ConnectionLost("this is no relay: it answers with too long a head")
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        words = lines[0].split(maxsplit=2)
        if (
            len(words) < 2
            or words[1] != b"101"
            or fields.get(b"sec-websocket-accept") != self._accept
        ):
            said = lines[0][:200].decode("latin-1")
            raise ConnectionLost(
                f"this is no relay's WebSocket: it answers {said!r}",
                hint="its port is 8765 unless configured otherwise; REST is another",
            )
        self.is_open = True
        return True

    def _next(self) -> Message | None:
        """The next whole message; None: more bytes are needed."""
        while True:
            frame = self._frame()
            if frame is None:
                return None
            first, data = frame
            kind, last = first & 0x0F, bool(first & 0x80)
            if kind >= CLOSE:
                if not last or len(data) > _MOST_CONTROL:
                    raise ConnectionLost("the relay's WebSocket has control frames that are none")
                return Message(kind, data)
            if kind != _CONTINUED:
                self._kind = kind
                self._partial.clear()
            self._partial += data
            if len(self._partial) > self._most:
                raise ConnectionLost("the relay sends too long a message")
            if last:
                whole = bytes(self._partial)
                self._partial.clear()
                return Message(self._kind, whole)

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, size = buffer[0], buffer[1]
        if first & 0x70 or size & 0x80:
            raise ConnectionLost("the relay's WebSocket has extensions that nobody asked for")
        at = 2
        if size == 126:
            if len(buffer) < 4:
                return None
            (size,) = struct.unpack_from(">H", buffer, 2)
            at = 4
        elif size == 127:
            if len(buffer) < 10:
                return None
            (size,) = struct.unpack_from(">Q", buffer, 2)
            at = 10
        if size > self._most:
            raise ConnectionLost("the relay sends too long a message")
        if len(buffer) < at + size:
            return None
        data = bytes(buffer[at : at + size])
        del buffer[: at + size]
        return first, data
