"""One request on a connection of version 1."""

from __future__ import annotations

import json
import socket
from typing import Any

from clove.framing import MAX_REPLY, FrameDecoder, encode


def ask(path: str, opcode: int, **fields: Any) -> dict[str, Any]:
    """The JSON object that answers."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(20)
        end.connect(path)
        end.sendall(encode(0, opcode, json.dumps(fields).encode()))
        decoder = FrameDecoder(MAX_REPLY)
        while True:
            data = end.recv(1 << 16)
            assert data, "the kernel closed the connection"
            for frame in decoder.feed(data):
                found: dict[str, Any] = json.loads(frame.payload)
                return found
