"""One space of keys, and the last versions of those that are gone. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from msgspec import Raw, Struct

__all__ = ["Entry", "Graves", "Space"]


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


class Graves:
    """Last versions of keys that are gone, so that no version is ever given twice.

    Bounded: when the oldest grave is forgotten, every key without a grave
    starts above the version that was in it (the floor). So in a kernel where
    more than `limit` keys were deleted, new keys may start above 1.
    """

    __slots__ = ("_graves", "_limit", "floor")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._graves: dict[tuple[int, str, str], int] = {}
        self.floor = 0

    def __len__(self) -> int:
        return len(self._graves)

    def bury(self, owner: int, scope: str, key: str, version: int) -> None:
        """Remember the last version of a key that is gone."""
        self._graves[owner, scope, key] = version
        if len(self._graves) > self._limit:
            oldest = next(iter(self._graves))
            self.floor = max(self.floor, self._graves.pop(oldest))

    def raise_again(self, owner: int, scope: str, key: str) -> int:
        """The version that a key which comes up afresh counts on from."""
        return self._graves.pop((owner, scope, key), self.floor)
