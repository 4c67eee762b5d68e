"""One space of keys, and the last versions of those that are gone. Pure."""

from __future__ import annotations

from collections import OrderedDict

from clove.kernel.state.interface import Found
from clove.kernel.state.key_table import Entries
from clove.kernel.state.sorted_blocks import SortedBlocks

__all__ = ["Entry", "Space", "Tombstones"]


class Entry(Found, frozen=True, gc=False):
    """A key's value and what the store knows of it.

    @ivar writer: agent that stored it last, and is charged for it.
    @ivar family: the writer's.
    @ivar expires: second of the kernel's clock, or infinity.
    @ivar size: bytes charged.
    """

    writer: int
    family: int
    expires: float
    size: int


class Space:
    """Keys in order.

    Adding or removing one costs the same however many there are; finding all that begin with a prefix
    costs only what is found.

    @ivar entries: to look one up, or to replace it.
    @ivar expiring: how many of them expire.
    """

    __slots__ = ("_sorted", "entries", "expiring")

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self._sorted: SortedBlocks[str] = SortedBlocks()
        self.expiring = 0

    def add(self, key: str, entry: Entry) -> None:
        """Add a key that is not there."""
        self._sorted.add(key)
        self.entries[key] = entry

    def remove(self, key: str) -> Entry:
        """Take out a key that is there."""
        self._sorted.remove(key)
        return self.entries.pop(key)

    def pop_some(self, most: int) -> list[tuple[str, Entry]]:
        """Take out some keys, at most so many; [] where none is left."""
        entries = self.entries
        return [(key, entries.pop(key)) for key in self._sorted.pop_some(most)]

    def after(self, key: str, prefix: str, most: int) -> list[str]:
        """The next keys above this one that begin with a prefix, at most so many; [] where there are none."""
        found = self._sorted.since(prefix, most) if key < prefix else self._sorted.after(key, most)
        if found and prefix and not found[-1].startswith(prefix):
            return [each for each in found if each.startswith(prefix)]
        return found


class Tombstones:
    """Last versions of keys that are gone, so that no version is ever given twice.

    Bounded: when the oldest is forgotten, every key without one starts above
    the version that was in it (the floor). So in a kernel where
    more than `limit` keys were deleted, new keys may start above 1.
    """

    __slots__ = ("_limit", "_tombstones", "floor")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # A plain dictionary would look for its first item behind all that were taken out before.
        self._tombstones: OrderedDict[tuple[int, str, str], int] = OrderedDict()
        self.floor = 0

    def __len__(self) -> int:
        return len(self._tombstones)

    def add(self, owner: int, scope: str, key: str, version: int) -> None:
        """Remember the last version of a key that is gone."""
        self._tombstones[owner, scope, key] = version
        if len(self._tombstones) > self._limit:
            self.floor = max(self.floor, self._tombstones.popitem(last=False)[1])

    def next_version(self, owner: int, scope: str, key: str) -> int:
        """The first version of a key that comes up afresh."""
        if not self._tombstones:
            return self.floor + 1
        return self._tombstones.pop((owner, scope, key), self.floor) + 1
