"""Rings of entries, bounded by count and bytes, in which no family washes out another's; and what adds what was done,
all that the log does for nearly every request. Pure.

Nothing large that a request was made of is kept alive: a L{Done} has short texts, small integers, booleans
and nulls alone. An entry with anything else is made whole at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from clove.kernel.audit.entries import LARGE, Done, DoneKind, Entry

if TYPE_CHECKING:
    from clove.kernel.audit.interface import RecordDone

__all__ = ["Recorder", "Ring", "shown_fields"]


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


_TEXT: Final = 200
"""Characters of a request's text that an entry shows."""
_NONE: Final = 1 << 20
_NUMBERS: Final = frozenset((bool, int, float))


class Recorder:
    """Adds entries of one kind to a ring."""

    __slots__ = (
        "_category",
        "_first",
        "_kind",
        "_new_id",
        "_on",
        "_ring",
        "_second",
        "_seconds",
        "_whole",
    )

    def __init__(
        self,
        kind: DoneKind,
        on: Mapping[str, bool],
        new_id: Callable[[], int],
        seconds: Callable[[], float],
        ring: Ring,
        whole: RecordDone,
    ) -> None:
        """
        @param on: which categories are recorded now.
        @param whole: records what does not fit a L{Done}.
        """
        self._kind = kind
        self._category = kind.category
        self._on = on
        self._new_id = new_id
        self._seconds = seconds
        self._ring = ring
        self._whole = whole
        self._first, self._second = kind.first, kind.second

    def record(self, agent_id: int, agent_name: str, request: object, family: int) -> None:
        """See L{clove.kernel.audit.interface.IAuditLog.recorder}."""
        if not self._on[self._category]:
            return
        kind = self._kind
        first = getattr(request, self._first, None)
        second = getattr(request, self._second, None)
        size = kind.size + len(agent_name)
        if first is not None:
            size += _room(first)
        if second is not None:
            size += _room(second)
        if size >= _NONE:
            self._whole(agent_id, agent_name, request, family)
        else:
            id, at = self._new_id(), self._seconds()
            self._ring.add(Done(id, at, kind, agent_id, agent_name, first, second, size), family)


def _room(value: Any) -> int:
    """Bytes that a value takes; at least L{_NONE} if it cannot be kept as it is."""
    kind = value.__class__
    if kind is str:
        return len(value) if len(value) <= _TEXT and value.isascii() else _NONE
    if kind is int:
        return 8 if -LARGE < value < LARGE else _NONE
    return 0 if value is None or kind is bool else _NONE


def shown_fields(request: object, fields: tuple[str, ...]) -> dict[str, object]:
    """The fields of a request that an entry shows, cut."""
    return {field: _brief(getattr(request, field, None)) for field in fields}


def _brief(value: object) -> object:
    if value is None or value.__class__ in _NUMBERS:
        return value
    if isinstance(value, str):
        return value if len(value) <= _TEXT else value[: _TEXT - 1] + "…"
    return str(value)[:_TEXT]
