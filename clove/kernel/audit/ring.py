"""A ring of entries, bounded by count and bytes, in which no family washes out another's. Pure."""

from __future__ import annotations

from collections import deque

from clove.kernel.audit.entries import Entry

__all__ = ["Ring"]


class Ring:
    """Entries with ascending ids. For one too many the oldest of the family that has the most
    is forgotten: a flood takes the room of its own family first.

    @ivar size: bytes, roughly.
    """

    __slots__ = ("_count", "_families", "_levels", "_max_bytes", "_most", "max_entries", "size")

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self._max_bytes = max_bytes
        self._families: dict[int, deque[Entry]] = {}
        self._levels: dict[int, dict[int, None]] = {}  # number of entries: families with so many
        self._most = 0
        self._count = 0
        self.size = 0

    def __len__(self) -> int:
        return self._count

    @property
    def families(self) -> list[deque[Entry]]:
        """The entries of each, by ascending ids."""
        return list(self._families.values())

    def add(self, entry: Entry, family: int = 0) -> None:
        """Add the newest; forget what is too much."""
        own = self._families.get(family)
        if own is None:
            own = self._families[family] = deque()
        own.append(entry)
        self.size += entry.size
        if self._count >= self.max_entries and len(own) - 1 == self._most:
            self.size -= own.popleft().size
        else:
            self._count += 1
            self._changed(family, len(own) - 1, len(own))
        if self._count > self.max_entries or self.size > self._max_bytes:
            self.trim()

    def trim(self) -> None:
        """Forget until the bounds hold."""
        while self._count > self.max_entries or (self.size > self._max_bytes and self._count):
            family = next(iter(self._levels[self._most]))
            own = self._families[family]
            self.size -= own.popleft().size
            self._count -= 1
            self._changed(family, len(own) + 1, len(own))
            if not own:
                del self._families[family]

    def _changed(self, family: int, before: int, now: int) -> None:
        """A family has one entry more or less."""
        if before:
            level = self._levels[before]
            del level[family]
            if not level:
                del self._levels[before]
        if now:
            self._levels.setdefault(now, {})[family] = None
        if now > self._most or (before == self._most and before not in self._levels):
            self._most = now
