"""The latest bytes of an output, by offset, as they came. Pure."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["PIECE", "Part", "Spool"]

PIECE = 256
"""Bytes of memory that each piece takes besides its bytes, rounded up; shorter ones are joined."""


class Part(NamedTuple):
    """Bytes that came together.

    @ivar stream: 1 for stdout, 2 for stderr.
    @ivar offset: of the first byte, counted over both streams.
    """

    stream: int
    offset: int
    data: bytes


class Spool:
    """The latest bytes that keep within a limit, and all that a reader is still to take.

    @ivar next: the offset that the next byte will have.
    @ivar first: offset of the first byte that is held; `next` if none is.
    @ivar kept_from: bytes from this offset on are kept, however many they are; None: there is no
        such reader.
    @param held: bytes held else.
    """

    def __init__(self, held: int) -> None:
        self._most = held
        self._parts: deque[Part] = deque()
        self.next = 0
        self.first = 0
        self.kept_from: int | None = None

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes, about."""
        return self.next - self.first + PIECE * len(self._parts)

    @property
    def is_full(self) -> bool:
        """More is kept for the reader who takes all than would be held else."""
        if self.kept_from is None:
            return False
        return self.untaken > self._most or self._has_too_many()

    @property
    def untaken(self) -> int:
        """Bytes that are kept for the reader who takes all."""
        return 0 if self.kept_from is None else self.next - self.kept_from

    def add(self, stream: int, data: bytes) -> None:
        """Hold bytes; drop what they push out."""
        last = self._parts[-1] if self._parts else None
        if last is not None and last.stream == stream and len(last.data) + len(data) <= PIECE:
            self._parts[-1] = Part(stream, last.offset, last.data + data)
        else:
            self._parts.append(Part(stream, self.next, data))
        self.next += len(data)
        self._drop()

    def skip(self, size: int) -> None:
        """Bytes went past that are not here: what came before them is dropped, too."""
        self._parts.clear()
        self.next += size
        self.first = self.next

    def keep_from(self, offset: int | None) -> None:
        """Keep all from an offset on, or no more than the limit."""
        self.kept_from = None if offset is None else max(self.first, min(offset, self.next))
        self._drop()

    def clear(self) -> None:
        """Hold nothing that is not kept for the reader who takes all."""
        self._drop(most=0)

    def _drop(self, most: int | None = None) -> None:
        """Drop whole pieces, the oldest first, and of the last one that is too much its beginning."""
        least = self.next - (self._most if most is None else most)
        if self.kept_from is not None:
            least = min(least, self.kept_from)
        parts = self._parts
        while parts and parts[0].offset + len(parts[0].data) <= least:
            parts.popleft()
        self.first = max(self.first, min(least, self.next))
        while self.kept_from is None and self._has_too_many():
            parts.popleft()
            self.first = parts[0].offset

    def _has_too_many(self) -> bool:
        """Pieces so short that they take more memory than their bytes are worth."""
        return len(self._parts) > 1 and len(self._parts) * PIECE > 2 * self._most

    def since(self, offset: int, most: int) -> list[Part]:
        """The bytes held from an offset on.

        @param most: bytes given at most.
        """
        found: deque[Part] = deque()
        start = max(offset, self.first)
        for part in reversed(self._parts):
            if part.offset + len(part.data) <= start:
                break
            found.appendleft(part)
        given: list[Part] = []
        for part in found:
            skipped = max(0, start - part.offset)
            data = part.data[skipped : skipped + most]
            if data:
                given.append(Part(part.stream, part.offset + skipped, data))
            most -= len(data)
            if most <= 0:
                break
        return given
