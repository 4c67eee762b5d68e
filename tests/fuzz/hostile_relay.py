"""A relay that says anything to the kernels that dial it. Blocking, one connection at a time."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import select
import socket
import struct
from typing import Any

from clove.channels.session import COUNTED, HEADER, MOST_PIECE, FrameKind, frame
from tests.fuzz.json_texts import any_text, changed
from tests.fuzz.link_messages import changed_caller, kernel_bytes, link_message, right_control
from tests.fuzz.websocket_frames import BINARY, TEXT, message, websocket_frame, wrong_frames

__all__ = ["HostileRelay", "KernelConnection"]

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
RELAY = "hostile"
PATIENCE = 60.0
QUIET = 1.0
CLOSE, PING, PONG = 8, 9, 10
CALLER = {"id": 1000, "name": "a", "token_id": "t", "permissions": {}}
WELCOME: dict[str, Any] = {
    "type": "auth_ok",
    "machine_id": "one",
    "protocol_version": 2,
    "relay_id": RELAY,
    "session": "5e55",
    "resumed": False,
    "received": 0,
    "ping_seconds": 15.0,
    "resume_seconds": 60.0,
}


class KernelConnection:
    """A kernel's tunnel, from this side.

    @ivar sent: how many messages.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.settimeout(PATIENCE)
        self._buffer = bytearray()
        self._texts: list[dict[str, Any]] = []
        self._pongs: set[bytes] = set()
        self._counted = self._next = 0
        self._open: list[int] = []
        self.closed = False
        self.sent = 0
        self._upgrade()

    def _upgrade(self) -> None:
        while b"\r\n\r\n" not in self._buffer and not self.closed:
            self._receive()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = {name.lower(): value for name, value in fields.items()}[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + MAGIC, usedforsecurity=False).digest())
        self._socket.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except OSError:
            data = b""
        self.closed = self.closed or not data
        self._buffer += data

    def _frames(self) -> None:
        """What has come: texts, pongs, and how many counted frames."""
        buffer = self._buffer
        while len(buffer) >= 6:
            size, at = buffer[1] & 0x7F, 2
            if size > 125:
                form = ">H" if size == 126 else ">Q"
                at += struct.calcsize(form)
                if len(buffer) < at + 4:
                    return
                (size,) = struct.unpack_from(form, buffer, 2)
            if len(buffer) < at + 4 + size:
                return
            mask = (bytes(buffer[at : at + 4]) * (size // 4 + 1))[:size]
            data = bytes(buffer[at + 4 : at + 4 + size])
            plain = int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")
            self._handle(buffer[0] & 15, plain.to_bytes(size, "little"))
            del buffer[: at + 4 + size]

    def _handle(self, kind: int, data: bytes) -> None:
        if kind == TEXT:
            self._texts.append(json.loads(data))
        elif kind == PONG:
            self._pongs.add(data)
        elif kind == CLOSE:
            self.closed = True
        elif kind == BINARY and HEADER.unpack_from(data)[1] in COUNTED:
            self._counted += 1

    def hear(self) -> dict[str, Any]:
        """The next text; nothing when it is closed."""
        while not self._texts and not self.closed:
            self._receive()
            self._frames()
        return self._texts.pop(0) if self._texts else {}

    def send(self, data: bytes) -> None:
        """Send bytes, and read meanwhile."""
        self.sent += 1
        view = memoryview(data)
        while view and not self.closed:
            readable, writable, _ = select.select([self._socket], [self._socket], [], PATIENCE)
            if readable:
                self._receive()
                self._frames()
            if writable and not self.closed:
                try:
                    view = view[self._socket.send(view[: 1 << 17]) :]
                except OSError:
                    self.closed = True

    def say(self, said: dict[str, Any]) -> None:
        self.send(websocket_frame(TEXT, json.dumps(said).encode(), masked=False))

    def settle(self) -> None:
        """Wait until the kernel has got through all that was sent, or that it takes for one message."""
        self._socket.settimeout(QUIET)
        mark = os.urandom(8)
        self.send(websocket_frame(PING, mark, masked=False))
        while mark not in self._pongs and not self.closed:
            self._receive()
            self._frames()
        self._pongs.clear()
        self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    # what it is told

    def welcome(self) -> bool:
        """Let it in as a relay does; has that come about?"""
        self.hear()
        self.say(
            {"type": "challenge", "nonce": base64.b64encode(bytes(32)).decode(), "relay_id": RELAY}
        )
        if self.hear().get("type") != "proof":
            return False
        self.say(WELCOME)
        return True

    def welcome_wrongly(self, dice: random.Random) -> None:
        """Say anything instead."""
        challenge: dict[str, Any] = {"type": "challenge", "nonce": "AAAA", "relay_id": RELAY}
        refusal = {"type": "auth_error", "error": "x", "code": "y", "hint": "z"}
        for _ in range(dice.randint(1, 4)):
            said = dice.choice([challenge, challenge, WELCOME, refusal])
            text = changed(dice, said) if dice.randrange(5) else any_text(dice)
            kind = TEXT if dice.randrange(10) else BINARY
            self.send(message(dice, kind, text, masked=False))

    def say_anything(self, dice: random.Random) -> None:
        """One message: mostly one that a kernel bears."""
        if not dice.randrange(300):
            self.send(wrong_frames(dice, masked=False))
        elif not dice.randrange(200):
            self.send(message(dice, BINARY, link_message(dice), masked=False))
        else:
            self.send(message(dice, BINARY, self._borne(dice), masked=False))

    def _borne(self, dice: random.Random) -> bytes:
        which = dice.randrange(8)
        if which == 0 or not self._open:
            self._next += 1
            self._open.append(self._next)
            caller = json.loads(changed_caller(dice)) if not dice.randrange(40) else CALLER
            return frame(self._next, FrameKind.OPEN, json.dumps({"caller": caller}).encode())
        if which == 1:
            return right_control(dice)
        if which == 2:
            return frame(0, FrameKind.ACK, struct.pack(">Q", self._counted))
        if which == 3 and len(self._open) > 1:
            number = self._open.pop(dice.randrange(len(self._open)))
            return frame(number, FrameKind.CLOSE, b"{}")
        number = dice.choice(self._open)
        return frame(number, FrameKind.DATA, kernel_bytes(dice)[:MOST_PIECE])


class HostileRelay:
    """Listens on loopback."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> KernelConnection:
        """The next connection of a kernel."""
        return KernelConnection(self._listener.accept()[0])

    def close(self) -> None:
        self._listener.close()
