"""A peer of version 1, by the letter of docs/wire.md: JSON texts over a WebSocket, and nothing of Clove's."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
from typing import Any

__all__ = ["PeerV1", "text_frame"]


def text_frame(text: bytes) -> bytes:
    """A client's text message; masked with zeros, which changes nothing."""
    if len(text) < 126:
        head = bytes([0x81, 0x80 | len(text)])
    elif len(text) < 1 << 16:
        head = b"\x81\xfe" + struct.pack(">H", len(text))
    else:
        head = b"\x81\xff" + struct.pack(">Q", len(text))
    return head + bytes(4) + text


class PeerV1:
    """One connection; blocking.

    @ivar head: status line and headers of the answer to the opening handshake.
    """

    def __init__(self, port: int, headers: str = "", path: str = "/", host: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n{headers}"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._bytes = b""
        while b"\r\n\r\n" not in self._bytes:
            self._more()
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        self.head = head.decode()
        self.status = int(head.split()[1])

    def _more(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError
        self._bytes += data

    def _take(self, size: int) -> bytes:
        while len(self._bytes) < size:
            self._more()
        taken, self._bytes = self._bytes[:size], self._bytes[size:]
        return taken

    def say(self, kind: str, **fields: Any) -> None:
        self.say_text(json.dumps({"type": kind, **fields}).encode())

    def say_text(self, text: bytes) -> None:
        self.send(text_frame(text))

    def send(self, data: bytes) -> None:
        """Bytes of whole WebSocket frames."""
        self._socket.sendall(data)

    def set_timeout(self, seconds: float) -> None:
        """Of what blocks from now on."""
        self._socket.settimeout(seconds)

    def hear(self) -> dict[str, Any]:
        """The next text message.

        @raise EOFError: the relay has closed.
        """
        found: dict[str, Any] = json.loads(self._hear(1))
        return found

    def hear_binary(self) -> bytes:
        """The next binary message, as version 2 has them; waits for as long as it takes.

        @raise EOFError: the relay has closed.
        """
        self._socket.settimeout(None)
        return self._hear(2)

    def _hear(self, kind: int) -> bytes:
        while True:
            first, size = self._take(2)
            if size == 126:
                (size,) = struct.unpack(">H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._take(8))
            data = self._take(size)
            if first & 0xF == 8:
                raise EOFError
            if first & 0xF == kind:
                return data
            if first & 0xF == 9:  # a ping
                self._socket.sendall(b"\x8a\x80" + os.urandom(4))

    def ask(self, opcode: int, payload: object = None) -> Any:
        """A syscall, and what its response's payload says."""
        body = b"" if payload is None else json.dumps(payload).encode()
        self.say("syscall", opcode=opcode, payload=base64.b64encode(body).decode())
        answer = self.hear()
        assert (answer["type"], answer["opcode"]) == ("response", opcode), answer
        return json.loads(base64.b64decode(answer["payload"]))

    def shutdown(self) -> None:
        """Have what waits for a message end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> PeerV1:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
