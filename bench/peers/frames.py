"""The frames of a peer: its share of the work is to cut them apart and answer each with its payload."""

from __future__ import annotations

import struct

__all__ = ["Answers"]

HEADER = struct.Struct("<IIBQ")


class Answers:
    """Of one connection."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The replies to what is whole now."""
        if self._held:
            data = self._held + data
        at, end, replies = 0, len(data), []
        while end - at >= 17:
            magic, _, opcode, size = HEADER.unpack_from(data, at)
            if end - at < 17 + size:
                break
            replies.append(HEADER.pack(magic, 1, opcode, size) + data[at + 17 : at + 17 + size])
            at += 17 + size
        self._held = data[at:]
        return b"".join(replies)
