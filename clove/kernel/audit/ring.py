"""A ring of entries, bounded by count and bytes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

__all__ = ["Ring", "Stored"]

OVERHEAD = 300
"""Bytes counted for an entry beside its texts: about what its objects take."""


class Stored(Struct, gc=False):
    """An entry as it is kept.

    @ivar at: second of the kernel's clock.
    @ivar details: JSON.
    """

    id: int
    at: float
    category: str
    event_type: str
    agent_id: int
    agent_name: str
    success: bool
    details: bytes


class Ring:
    """Entries whose ids follow each other without a gap; the oldest are forgotten.

    @ivar size: bytes, roughly.
    """

    __slots__ = ("_entries", "_max_bytes", "max_entries", "size")

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: deque[Stored] = deque()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Stored) -> None:
        """Add the newest; forget what is too much."""
        self._entries.append(entry)
        self.size += _size(entry)
        self.trim()

    def trim(self) -> None:
        """Forget the oldest until the bounds hold."""
        entries = self._entries
        while len(entries) > self.max_entries or (self.size > self._max_bytes and entries):
            self.size -= _size(entries.popleft())

    def after(self, id: int) -> Iterator[Stored]:
        """Entries above this id, oldest first."""
        if not self._entries:
            return iter(())
        skip = min(max(0, id + 1 - self._entries[0].id), len(self._entries))
        return islice(self._entries, skip, None)

    def newest(self) -> Iterator[Stored]:
        """All, newest first."""
        return reversed(self._entries)


def _size(entry: Stored) -> int:
    return OVERHEAD + len(entry.details) + len(entry.agent_name) + len(entry.event_type)
