"""A client that knows nothing but docs/wire.md: sockets, struct and json.

It shares no code with Clove on purpose, so that the two cannot be wrong
together.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from types import TracebackType
from typing import Any, NamedTuple

HEADER = struct.Struct("<IIBQ")
MAGIC = 0x41474E54
MORE = 1 << 63
PATIENCE = 90.0 if "CLOVE_GUEST" in os.environ else 20.0
"""Seconds to wait for a reply. Nothing here takes one; a loaded or an emulated machine may."""


class Reply(NamedTuple):
    """One frame from the kernel."""

    agent_id: int
    opcode: int
    payload: bytes

    def json(self) -> Any:
        """The payload, strictly: UTF-8, no NaN, no duplicate keys."""

        def no_constant(name: str) -> None:
            raise ValueError(f"{name} is not JSON")

        def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            fields = dict(pairs)
            if len(fields) != len(pairs):
                raise ValueError(f"a key is there twice: {[key for key, _ in pairs]}")
            return fields

        return json.loads(
            self.payload.decode("utf-8"),
            parse_constant=no_constant,
            object_pairs_hook=no_duplicates,
        )


class Closed(Exception):
    """The kernel closed the connection."""


class Peer:
    """One connection, version 1 until L{hello2}."""

    def __init__(self, path: str, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(path)
        self.tagged = False
        self.number = 0

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, opcode: int, payload: bytes = b"", *, agent_id: int = 0) -> int:
        """Send one request; its number on version 2."""
        if self.tagged:
            self.number += 1
            payload = struct.pack("<Q", self.number) + payload
        self.socket.sendall(HEADER.pack(MAGIC, agent_id, opcode, len(payload)) + payload)
        return self.number

    def exactly(self, size: int) -> bytes:
        """That many bytes.

        @raise Closed: the kernel closed before.
        """
        data = bytearray()
        while len(data) < size:
            try:
                piece = self.socket.recv(min(size - len(data), 1 << 20))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Closed(f"closed after {len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    def receive(self) -> Reply:
        """One frame as it is on the wire (with its tag on version 2)."""
        magic, agent_id, opcode, size = HEADER.unpack(self.exactly(HEADER.size))
        assert magic == MAGIC, hex(magic)
        assert size <= (16 << 20) + 8, size
        return Reply(agent_id, opcode, self.exactly(size))

    def call(self, opcode: int, payload: bytes | object = b"") -> Reply:
        """Send a request and take its reply, the pushes and parts before it left out."""
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        number = self.send(opcode, payload)
        if not self.tagged:
            return self.receive()
        while True:
            reply = self.receive()
            (tag,) = struct.unpack_from("<Q", reply.payload)
            if tag == number:
                return reply._replace(payload=reply.payload[8:])
            assert tag == 0 or tag & MORE, f"a reply to request {tag}, which is not outstanding"

    def hello2(self) -> dict[str, Any]:
        """Change to version 2."""
        reply: dict[str, Any] = self.call(0xFE, {"protocol_version": 2}).json()
        assert reply["protocol_version"] == 2, reply
        self.tagged = True
        return reply

    def closed(self) -> bool:
        """Read until the end; True if the kernel has closed."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True
