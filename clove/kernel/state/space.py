"""One space of keys, and the last versions of those that are gone. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from msgspec import Raw, Struct

__all__ = ["Entry", "Space", "Tombstones"]


class Entry(Struct, gc=False):
    """A key's value and what the store knows of it.

    @ivar writer: agent that stored it last, and is charged for it.
    @ivar family: the writer's.
    @ivar expires: second of the kernel's clock, or infinity.
    @ivar size: bytes charged.
    """

    value: Raw
    version: int
    writer: int
    family: int
    expires: float
    size: int


class Space:
    """Keys in order.

    Adding or removing one key of many moves part of a list of pointers (some
    10 us in 100,000 keys); finding all that begin with a prefix costs only
    what is found.
    """

    __slots__ = ("_sorted", "entries")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._sorted: list[str] = []

    def put(self, key: str, entry: Entry) -> None:
        """Add or replace a key."""
        if key not in self.entries:
            insort(self._sorted, key)
        self.entries[key] = entry

    def remove(self, key: str) -> Entry:
        """Take out a key that is there."""
        entry = self.entries.pop(key)
        del self._sorted[bisect_left(self._sorted, key)]
        return entry

    def beginning_with(self, prefix: str, now: float) -> Iterator[str]:
        """Keys with this prefix that have not expired, in order."""
        for index in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            key = self._sorted[index]
            if not key.startswith(prefix):
                return
            if self.entries[key].expires > now:
                yield key


class Tombstones:
    """Last versions of keys that are gone, so that no version is ever given twice.

    Bounded: when the oldest is forgotten, every key without one starts above
    the version that was in it (the floor). So in a kernel where
    more than `limit` keys were deleted, new keys may start above 1.
    """

    __slots__ = ("_limit", "_tombstones", "floor")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tombstones: dict[tuple[int, str, str], int] = {}
        self.floor = 0

    def __len__(self) -> int:
        return len(self._tombstones)

    def add(self, owner: int, scope: str, key: str, version: int) -> None:
        """Remember the last version of a key that is gone."""
        self._tombstones[owner, scope, key] = version
        if len(self._tombstones) > self._limit:
            oldest = next(iter(self._tombstones))
            self.floor = max(self.floor, self._tombstones.pop(oldest))

    def next_version(self, owner: int, scope: str, key: str) -> int:
        """The first version of a key that comes up afresh."""
        return self._tombstones.pop((owner, scope, key), self.floor) + 1
