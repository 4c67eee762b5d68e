"""The two forms in which entries are kept. Pure.

Those of requests that were done are most by far, and next to none of them is ever read: they are kept as the fields
that they show, and made JSON when they are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from clove.kernel.audit.details import clean, details_json

if TYPE_CHECKING:
    from clove.kernel.audit.limits import AuditLimits

__all__ = ["MAX_FIELDS", "Done", "DoneKind", "Entry", "Stored"]

OVERHEAD: Final = 300
"""Bytes counted for an entry beside its texts: about what its objects take."""
MAX_FIELDS: Final = 2
"""Fields that a L{Done} has room for: each one of its own, since the collector of cycles would go through
the tuples of all entries at once."""


class Stored(Struct, frozen=True, gc=False):
    """An entry as it is kept.

    @ivar at: seconds since the epoch.
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

    @property
    def size(self) -> int:
        """Bytes that it takes, roughly."""
        return OVERHEAD + len(self.details) + len(self.agent_name) + len(self.event_type)


class DoneKind:
    """What all entries of one syscall have in common.

    @ivar size: bytes of an entry with nothing in its fields, roughly.
    """

    __slots__ = ("category", "event_type", "fields", "first", "limits", "second", "size")

    def __init__(
        self, category: str, event_type: str, fields: tuple[str, ...], limits: AuditLimits
    ) -> None:
        """@param fields: names, at most L{MAX_FIELDS}."""
        self.limits = limits
        self.category = category
        self.event_type = clean(event_type, limits.max_text)
        self.fields = fields
        self.first, self.second = (*fields, "", "")[:MAX_FIELDS]
        self.size = OVERHEAD + len(self.event_type) + len(self.details(*fields))

    def details(self, *values: object) -> bytes:
        """JSON, as it would have been made when the entry was."""
        limits = self.limits
        fields = dict(zip(self.fields, values, strict=False))
        return details_json(fields, limits.max_details_bytes, limits.max_text)


class Done(Struct, frozen=True, gc=False):
    """An entry of a request that was done; it reads as a L{Stored}.

    @ivar at: seconds since the epoch.
    @ivar name: the agent's.
    @ivar first, second: the values of the fields that it shows.
    @ivar size: bytes that it takes, roughly.
    """

    id: int
    at: float
    kind: DoneKind
    agent_id: int
    name: str
    first: str | int | None
    second: str | int | None
    size: int

    @property
    def category(self) -> str:
        """Its audit category."""
        return self.kind.category

    @property
    def event_type(self) -> str:
        """The syscall's name."""
        return self.kind.event_type

    @property
    def agent_name(self) -> str:
        """The agent's name, without what could do harm."""
        return clean(self.name, self.kind.limits.max_text)

    @property
    def success(self) -> bool:
        """It was done."""
        return True

    @property
    def details(self) -> bytes:
        """JSON."""
        return self.kind.details(self.first, self.second)


Entry: TypeAlias = Stored | Done
"""What a ring has; both read alike."""
