"""Entries as they are kept, how untrusted values become small, harmless details of them, and how they are shown. Pure.

Those of requests that were done are most by far, and next to none of them is ever read: they are kept as the fields
that they show, and made JSON when they are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from clove.messages.audit import AuditEntry

if TYPE_CHECKING:
    from clove.kernel.audit.limits import AuditLimits

__all__ = [
    "LARGE",
    "MAX_FIELDS",
    "Done",
    "DoneKind",
    "Entry",
    "Stored",
    "clean",
    "details_json",
    "shown",
]

OVERHEAD: Final = 300
"""Bytes counted for an entry beside its texts: about what its objects take."""
MAX_FIELDS: Final = 2
"""Fields that a L{Done} has room for: each one of its own, since the collector of cycles would go through
the tuples of all entries at once."""
MAX_ITEMS: Final = 32
"""Fields of an object, or items of a list, that are kept."""
MAX_DEPTH: Final = 4
"""Levels that are kept."""

LARGE: Final = 1 << 63
"""Integers from this one on are shown as texts."""
_encode = msgspec.json.Encoder().encode
_BACKSLASH: Final = 0x5C
_DELETE: Final = 0x7F
_SPACE = re.compile(r"\s+")


def clean(text: str, limit: int) -> str:
    """A text without characters that could harm a terminal or fake a line of a log.

    White space of any kind becomes one space; what cannot be printed is left
    out (control characters, marks that change the direction, lone surrogates).
    """
    if len(text) > limit:
        text = text[:limit] + "…"
    if text.isprintable():
        return text
    return "".join(filter(str.isprintable, _SPACE.sub(" ", text)))


def details_json(details: Mapping[str, object], max_bytes: int, max_text: int) -> bytes:
    """The details as JSON of at most so many bytes."""
    if not details:
        return b"{}"
    if (short := _short(details)) is not None and len(short) <= min(max_bytes, max_text):
        return short
    fields = {
        clean(str(key), max_text): _harmless(value, max_text, MAX_DEPTH)
        for key, value in islice(details.items(), MAX_ITEMS)
    }
    encoded = _encode(fields)
    while len(encoded) > max_bytes and fields:
        fields.pop("truncated", None)
        if fields:
            fields.popitem()
        fields["truncated"] = True
        encoded = _encode(fields)
        if len(fields) == 1:
            break
    return encoded


def _short(details: Mapping[str, object]) -> bytes | None:
    """The JSON of what needs no changes, unless it is long: of most requests."""
    for value in details.values():
        kind = value.__class__
        if kind is int:
            if not -LARGE < value < LARGE:  # type: ignore[operator]
                return None
        elif kind is not str and value is not None and kind is not bool:
            return None
    try:
        encoded = _encode(details)
    except UnicodeEncodeError:
        return None
    # JSON escapes all other control characters. (Numbers: to look for bytes takes five times longer.)
    if not encoded.isascii() or _BACKSLASH in encoded or _DELETE in encoded:
        return None
    return encoded if len(details) <= MAX_ITEMS else None


def _harmless(value: object, max_text: int, depth: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return clean(value, max_text)
    if isinstance(value, int):
        return value if value.bit_length() < 64 else clean(hex(value), max_text)
    if isinstance(value, float):
        return value
    if depth > 0 and isinstance(value, Mapping):
        return {
            clean(str(key), max_text): _harmless(item, max_text, depth - 1)
            for key, item in islice(value.items(), MAX_ITEMS)
        }
    if depth > 0 and isinstance(value, (list, tuple, set, frozenset)):
        return [_harmless(item, max_text, depth - 1) for item in islice(value, MAX_ITEMS)]
    return clean(str(value), max_text)


class Stored(msgspec.Struct, frozen=True, gc=False):
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


class Done(msgspec.Struct, frozen=True, gc=False):
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


def shown(entry: Entry) -> AuditEntry:
    """For GET_AUDIT_LOG, and the file."""
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds")
    return AuditEntry(
        id=entry.id,
        timestamp=at.replace("+00:00", "Z"),
        category=entry.category,
        event_type=entry.event_type,
        agent_id=entry.agent_id,
        agent_name=entry.agent_name,
        success=entry.success,
        details=msgspec.Raw(entry.details),
    )
