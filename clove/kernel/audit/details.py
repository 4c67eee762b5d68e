"""How untrusted values become small, harmless details of an entry. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import msgspec

__all__ = ["LARGE", "clean", "details_json"]

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
