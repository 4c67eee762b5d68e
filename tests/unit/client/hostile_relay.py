"""A relay that says what a test tells it to, to one client after the other."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from clove.channels.session import frame

__all__ = ["AUTH_OK", "Client", "binary", "hostile_relay", "message", "text"]

AUTH_OK = {
    "type": "auth_ok",
    "agent_id": 1000,
    "target_machine": "one",
    "protocol_version": 2,
    "session": "s",
    "resume_seconds": 0.2,
}
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def message(kind: int, data: bytes) -> bytes:
    """A server's message in one frame."""
    if len(data) < 126:
        return bytes((0x80 | kind, len(data))) + data
    if len(data) < 1 << 16:
        return struct.pack(">BBH", 0x80 | kind, 126, len(data)) + data
    return struct.pack(">BBQ", 0x80 | kind, 127, len(data)) + data


def text(said: object) -> bytes:
    """A text message with JSON."""
    return message(1, json.dumps(said).encode())


def binary(channel: int, kind: int, body: bytes = b"") -> bytes:
    """A binary message with a frame of a link."""
    return message(2, frame(channel, kind, body))


class Client:
    """A client that is connected.

    @ivar number: from 0 on.
    @ivar head: of its request.
    """

    def __init__(self, number: int, stream: socket.socket) -> None:
        self.number = number
        self.stream = stream
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            data = stream.recv(1 << 16)
            if not data:
                raise ConnectionError
            self.head += data

    def open(self) -> None:
        """Answer as a WebSocket does, and read the first message."""
        key = self.head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        self.stream.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if self.head.endswith(b"\r\n\r\n"):
            self.stream.recv(1 << 16)

    def prove(self, relay_id: str = "r") -> None:
        """Have a kernel prove its key, as a relay does."""
        self.open()
        self.send(text({"type": "challenge", "nonce": "AAAA", "relay_id": relay_id}))
        self.stream.recv(1 << 16)

    def send(self, data: bytes) -> None:
        self.stream.sendall(data)

    def messages(self) -> Iterator[bytes]:
        """What the client says from now on, until it has closed."""
        data = bytearray()

        def take(size: int) -> bytes:
            while len(data) < size:
                more = self.stream.recv(1 << 16)
                if not more:
                    raise ConnectionError
                data.extend(more)
            taken = bytes(data[:size])
            del data[:size]
            return taken

        with contextlib.suppress(ConnectionError):
            while True:
                size = take(2)[1] & 0x7F
                if size >= 126:
                    size = int.from_bytes(take(2 if size == 126 else 8), "big")
                mask = take(4)
                yield bytes(one ^ mask[at % 4] for at, one in enumerate(take(size)))

    def wait(self) -> None:
        """Until it has closed, or says that it does; what else it says is not looked at."""
        with contextlib.suppress(ConnectionError):
            while (data := self.stream.recv(1 << 16)) and b"\x88" not in data[:1]:
                pass


@contextlib.contextmanager
def hostile_relay(serve: Callable[[Client], Any]) -> Iterator[str]:
    """The URL of a relay that serves each client by this."""
    listener = socket.create_server(("127.0.0.1", 0))
    serving: list[threading.Thread] = []
    streams: list[socket.socket] = []

    def one(number: int, stream: socket.socket) -> None:
        with contextlib.suppress(OSError), stream:
            serve(Client(number, stream))

    def accept() -> None:
        number = 0
        with contextlib.suppress(OSError):
            while True:
                stream, _ = listener.accept()
                streams.append(stream)
                thread = threading.Thread(target=one, args=(number, stream))
                serving.append(thread)
                thread.start()
                number += 1

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for stream in streams:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        for thread in serving:
            thread.join()
