"""Records what was done: all that the log does for nearly every request. Pure.

Nothing large that a request was made of is kept alive: a L{Done} has short texts, small integers, booleans
and nulls alone. An entry with anything else is made whole at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from clove.kernel.audit.details import LARGE
from clove.kernel.audit.entries import Done, DoneKind

if TYPE_CHECKING:
    from clove.kernel.audit.interface import RecordDone
    from clove.kernel.audit.ring import Ring

__all__ = ["Recorder", "shown_fields"]

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
