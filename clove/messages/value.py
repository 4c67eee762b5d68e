"""Any JSON that one client hands to others: kept as it came, but sound.

A message, a stored value or an event's data is not looked into by the kernel;
it goes from one client's request into another one's reply as the very bytes
(`msgspec.Raw`). Skipping over JSON checks its grammar only, so it is checked
here that every usual decoder will take it: else one client could make the
whole reply of another unreadable.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

import msgspec

from clove.errors import InvalidRequest, LimitExceeded

__all__ = ["MAX_DEPTH", "checked"]

MAX_DEPTH: Final = 128
"""Levels of arrays and objects within each other. Decoders that recurse
(Python's own among them) give up some hundreds of levels further down."""

_decode = msgspec.json.Decoder().decode


def checked(value: msgspec.Raw, what: str) -> msgspec.Raw:
    """The value itself, in memory of its own (not a slice of the request's).

    @param what: its name in error texts, such as "message".
    @raise InvalidRequest: not UTF-8, or a number that no double can hold.
    @raise LimitExceeded: deeper than L{MAX_DEPTH}.
    """
    data = bytes(value)
    try:
        decoded = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"bad {what}: {error}") from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _deeper(decoded, MAX_DEPTH):
        raise LimitExceeded(
            f"the {what} has more than {MAX_DEPTH} levels of arrays and objects",
            hint="make it flatter, or send it as a string",
        )
    return msgspec.Raw(data)


def _deeper(value: Any, levels: int) -> bool:
    """Whether containers are nested deeper than so many levels."""
    level = [value]
    for _ in range(levels + 1):
        level = [item for item in level if type(item) in (list, dict)]
        if not level:
            return False
        level = list(chain.from_iterable(x.values() if type(x) is dict else x for x in level))
    return True
