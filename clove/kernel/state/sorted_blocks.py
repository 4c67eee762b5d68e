"""Items in order, in blocks, so that to add or remove one costs the same among any number. Pure.

To add to one list of all would move the pointers behind an item's place: 70 us of them among a million.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Final, Generic, TypeVar

from clove.messages.state import Scope

__all__ = ["BLOCK", "SortedBlocks"]

BLOCK: Final = 512
"""Items in a block, at most: to add one moves no more pointers than these."""

T = TypeVar("T", str, tuple[float, int, Scope, str])


class SortedBlocks(Generic[T]):
    """A sorted set. Each block is in order, and its items are above those of the block before.

    A block that is less than half full takes in its neighbour, so blocks do not become many and small.
    """

    __slots__ = ("_blocks", "_lasts")

    def __init__(self) -> None:
        self._blocks: list[list[T]] = []
        self._lasts: list[T] = []  # the last item of each block

    def __len__(self) -> int:
        """How many there are; looks at each block."""
        return sum(map(len, self._blocks))

    @property
    def first(self) -> T | None:
        """The least; None: there is none."""
        return self._blocks[0][0] if self._blocks else None

    def add(self, item: T) -> None:
        """Add one that is not there."""
        lasts, blocks = self._lasts, self._blocks
        at = bisect_left(lasts, item)
        if at < len(lasts):
            block = blocks[at]
            insort(block, item)
        elif at:
            at -= 1
            block = blocks[at]
            block.append(item)
            lasts[at] = item
        else:
            blocks.append([item])
            lasts.append(item)
            return
        if len(block) > BLOCK:
            self._split(at)

    def remove(self, item: T) -> None:
        """Take out one that is there."""
        at = bisect_left(self._lasts, item)
        block = self._blocks[at]
        del block[bisect_left(block, item)]
        if len(block) < BLOCK // 2:
            self._join(at)
        else:
            self._lasts[at] = block[-1]

    def pop_some(self, most: int) -> list[T]:
        """Take out some of the greatest, at most so many, of one block; [] where nothing is left."""
        if not self._blocks:
            return []
        block = self._blocks[-1]
        popped = block[-most:]
        del block[-most:]
        if block:
            self._lasts[-1] = block[-1]
        else:
            del self._blocks[-1], self._lasts[-1]
        return popped

    def since(self, item: T, most: int) -> list[T]:
        """The next ones from this on, at most so many, of one block; [] where there are none."""
        at = bisect_left(self._lasts, item)
        if at == len(self._lasts):
            return []
        block = self._blocks[at]
        first = bisect_left(block, item)
        return block[first : first + most]

    def after(self, item: T, most: int) -> list[T]:
        """As L{since}, without this."""
        at = bisect_right(self._lasts, item)
        if at == len(self._lasts):
            return []
        block = self._blocks[at]
        first = bisect_right(block, item)
        return block[first : first + most]

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        half = len(block) // 2
        self._blocks[at : at + 1] = block[:half], block[half:]
        self._lasts.insert(at, block[half - 1])

    def _join(self, at: int) -> None:
        """Have a block take in the next one, or the one before take it in."""
        blocks, lasts = self._blocks, self._lasts
        if at and at + 1 == len(blocks):
            at -= 1
        block = blocks[at]
        if at + 1 < len(blocks):
            block += blocks.pop(at + 1)
            del lasts[at + 1]
        if not block:
            del blocks[at], lasts[at]
            return
        lasts[at] = block[-1]
        if len(block) > BLOCK:
            self._split(at)
