"""An agent's output between its kernel and one reader: what was fetched and may be asked for again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["KeptOutput", "Part"]

PART: Final = 256
"""Bytes of memory that each part takes besides its data, rounded up."""


class Part(NamedTuple):
    """Bytes of one stream.

    @ivar offset: of the first one, counted over both streams.
    @ivar next: the offset behind the last one.
    """

    offset: int
    stream: str
    data: bytes

    @property
    def next(self) -> int:
        """The offset behind it."""
        return self.offset + len(self.data)


class KeptOutput:
    """The bytes around the place where a reader is.

    @param most: bytes kept; half of them in front of the reader, half of them behind it.
    @ivar next: offset of what is to be fetched next.
    """

    def __init__(self, most: int, since: int) -> None:
        self._half = most // 2
        self._parts: deque[Part] = deque()
        self._reached = self.next = since

    @property
    def room(self) -> int:
        """Bytes that may be fetched now; none while it is little."""
        ahead = sum(PART for part in self._parts if part.offset >= self._reached)
        free = self._half - (self.next - self._reached) - ahead
        return free if free >= self._half // 4 else 0

    def add(self, page: Mapping[str, Any]) -> None:
        """Keep what OUTPUT has answered."""
        at, offset = 0, int(page["offset"])
        for piece in page["pieces"]:
            data = page["data"][at : at + piece["size"]]
            self._parts.append(Part(offset + at, piece["stream"], data))
            at += piece["size"]
        self.next = int(page["next"])

    def since(self, offset: int, most: int) -> list[Part]:
        """What is kept from an offset on; where the first part begins later, bytes are lost.

        @param most: bytes given at most, and one part at least.
        """
        found: list[Part] = []
        for part in self._parts:
            if most <= 0:
                break
            if part.next <= offset:
                continue
            skipped = max(0, offset - part.offset)
            data = part.data[skipped : skipped + most]
            found.append(Part(part.offset + skipped, part.stream, data))
            most -= len(data)
        return found

    def reached(self, offset: int) -> None:
        """The reader has all before an offset; of that the latest is kept, in case that it got lost."""
        self._reached = min(offset, self.next)
        while self._parts and self._parts[0].next <= self._reached - self._half:
            self._parts.popleft()
        behind = [part.next <= self._reached for part in self._parts].count(True)
        while behind * PART > self._half:
            self._parts.popleft()
            behind -= 1
