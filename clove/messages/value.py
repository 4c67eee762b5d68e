"""Any JSON that one client hands to others: kept as it came, but sound.

A message, a stored value or an event's data is not looked into by the kernel;
it goes from one client's request into another one's reply as the very bytes
(`msgspec.Raw`). Skipping over JSON checks its grammar only, so it is checked
here that every usual decoder will take it: else one client could make the
whole reply of another unreadable. It is not decoded for that, since the time which
that takes is its author's to choose (L{clove.messages.json_text}).
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

import msgspec

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.messages.json_text import check_numbers, has_no_large_exponent, outside_strings

__all__ = ["MAX_CONTAINERS", "MAX_DEPTH", "checked"]

MAX_DEPTH: Final = 128
"""Levels of arrays and objects within each other. Decoders that recurse
(Python's own among them) give up some hundreds of levels further down."""

MAX_CONTAINERS: Final = 100_000
"""Arrays and objects in one value: to look at more would hold others up."""

_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_REST: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")


def checked(value: msgspec.Raw, what: str) -> msgspec.Raw:
    """The value itself, in memory of its own (not a slice of the request's).

    @param what: its name in error texts, such as "message".
    @raise InvalidRequest: not UTF-8, or a number that no double can hold.
    @raise LimitExceeded: deeper than L{MAX_DEPTH}, or more of something than can be looked at.
    """
    data = bytes(value)
    if len(data) <= MAX_DEPTH and data.isascii() and has_no_large_exponent(data):
        return msgspec.Raw(data)  # most are short: fewer bytes than levels need no counting
    try:
        if not data.isascii():
            data.decode()
        if len(data) > MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH:
            _check_shape(outside_strings(data))
        check_numbers(data)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"bad {what}: {error}") from None
    except CloveError as error:
        raise type(error)(f"bad {what}: {error.message}", hint=error.hint) from None
    return msgspec.Raw(data)


def _check_shape(outside: bytes) -> None:
    """Count the levels and the containers of JSON of sound grammar, as steps of +1 and -1.

    @param outside: the text without its strings.
    @raise LimitExceeded: deeper than L{MAX_DEPTH}, or more than L{MAX_CONTAINERS}.
    """
    steps = outside.translate(_STEPS, _REST)
    if len(steps) > 2 * MAX_CONTAINERS:
        raise LimitExceeded(
            f"more than {MAX_CONTAINERS} arrays and objects",
            hint="send it in parts, or as a string",
        )
    if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
        raise LimitExceeded(
            f"more than {MAX_DEPTH} levels of arrays and objects",
            hint="make it flatter, or send it as a string",
        )
