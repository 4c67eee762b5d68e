"""A client of the frame protocol, version 1, as small as measuring allows."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from clove.framing import HEADER_SIZE, FrameDecoder, Opcode, encode

__all__ = ["Client"]


class Client:
    """One connection that waits for each reply."""

    def __init__(self, path: str) -> None:
        self._decoder = FrameDecoder(16 << 20)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(path)

    def call(self, opcode: int, payload: bytes = b"") -> bytes:
        """The reply's payload."""
        self.send(opcode, payload)
        return self.receive()

    def send(self, opcode: int, payload: bytes = b"") -> None:
        """Ask without waiting; L{receive} takes the reply."""
        self._socket.sendall(encode(0, opcode, payload))

    def receive(self) -> bytes:
        """The payload of the reply to the one request that was sent."""
        while True:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the kernel closed the connection")
            frames = self._decoder.feed(data)
            if frames:
                return frames[0].payload

    def request(self, opcode: Opcode, **fields: Any) -> Any:
        """The reply as JSON."""
        return json.loads(self.call(opcode, json.dumps(fields).encode()))

    def round_trip(self) -> float:
        """Microseconds of one NOOP."""
        frame = encode(0, Opcode.NOOP, b"")
        start = time.perf_counter()
        self._socket.sendall(frame)
        left = HEADER_SIZE
        while left:
            left -= len(self._socket.recv(left))
        return (time.perf_counter() - start) * 1e6

    def round_trips(self, seconds: float) -> list[float]:
        """Microseconds of each NOOP, one after the other, for a while."""
        times = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            times.append(self.round_trip())
        return times

    def fileno(self) -> int:
        """For select: a reply has begun to come."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
