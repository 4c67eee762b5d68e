"""How many requests of a connection wait for their answers, seen from its bytes. Pure, standard library only."""

from __future__ import annotations

import sys

from clove.framing import HEADER, HEADER_SIZE, MAGIC, MORE, TAG, Opcode

__all__ = ["FramesSeen", "Unanswered"]


class FramesSeen:
    """The heads of frames in bytes that come in any pieces. It keeps no payload.

    @ivar begun: a frame is not complete yet.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0
        self._need = HEADER_SIZE

    @property
    def begun(self) -> bool:
        """A frame is not complete yet."""
        return bool(self._head or self._left)

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """Opcode and tag (0 where there is none) of the frames whose heads are complete by these bytes."""
        found: list[tuple[int, int]] = []
        at = 0
        while at < len(data):
            if self._left:
                skipped = min(self._left, len(data) - at)
                self._left -= skipped
                at += skipped
                continue
            piece = data[at : at + self._need - len(self._head)]
            self._head += piece
            at += len(piece)
            if len(self._head) == self._need:
                self._look(found)
        return found

    def _look(self, found: list[tuple[int, int]]) -> None:
        magic, _, opcode, size = HEADER.unpack_from(self._head)
        if magic != MAGIC:  # whatever it is, it is never complete
            size = sys.maxsize
        tagged = min(size, TAG.size)
        if len(self._head) < HEADER_SIZE + tagged:
            self._need = HEADER_SIZE + tagged
            return
        tag = TAG.unpack_from(self._head, HEADER_SIZE)[0] if tagged == TAG.size else 0
        self._head.clear()
        self._need, self._left = HEADER_SIZE, size - tagged
        found.append((opcode, tag))


class Unanswered:
    """Counts requests and their last replies.

    @ivar count: requests that were sent and are not answered.
    """

    def __init__(self) -> None:
        self._asked = FramesSeen()
        self._told = FramesSeen()
        self.count = 0

    def asked(self, data: bytes) -> None:
        """Bytes of the client."""
        self.count += len(self._asked.feed(data))

    def told(self, data: bytes) -> None:
        """Bytes of the kernel. Events that are pushed answer nothing."""
        for opcode, tag in self._told.feed(data):
            if not tag & MORE and (tag or opcode != Opcode.EMIT):
                self.count = max(0, self.count - 1)

    @property
    def none(self) -> bool:
        """Nothing is under way, in either direction."""
        return self.count == 0 and not (self._asked.begun or self._told.begun)
