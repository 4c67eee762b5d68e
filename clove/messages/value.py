"""Any JSON that one client hands to others: kept as it came, but sound.

A message, a stored value or an event's data is not looked into by the kernel;
it goes from one client's request into another one's reply as the very bytes
(`msgspec.Raw`). Skipping over JSON checks its grammar only, so it is checked
here that every usual decoder will take it: else one client could make the
whole reply of another unreadable.
"""

from __future__ import annotations

import gc
import re
from itertools import accumulate
from typing import Final

import msgspec

from clove.errors import InvalidRequest, LimitExceeded

__all__ = ["MAX_CONTAINERS", "MAX_DEPTH", "MAX_OBJECTS", "checked"]

MAX_DEPTH: Final = 128
"""Levels of arrays and objects within each other. Decoders that recurse
(Python's own among them) give up some hundreds of levels further down."""

MAX_CONTAINERS: Final = 100_000
"""Arrays and objects in one value: to look at more would hold others up."""
MAX_OBJECTS: Final = 40_000
"""Objects among these; each takes as long as four arrays."""
_BIG: Final = 32 << 10
"""Bytes from which on the garbage collector rests while a value is looked at:
it would go over hundreds of thousands of new lists several times."""

_decode = msgspec.json.Decoder().decode
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_REST: Final = bytes(byte for byte in range(256) if byte not in b"[{]}")


def checked(value: msgspec.Raw, what: str) -> msgspec.Raw:
    """The value itself, in memory of its own (not a slice of the request's).

    @param what: its name in error texts, such as "message".
    @raise InvalidRequest: not UTF-8, or a number that no double can hold.
    @raise LimitExceeded: deeper than L{MAX_DEPTH}, or more than L{MAX_CONTAINERS} or
        L{MAX_OBJECTS}.
    """
    data = bytes(value)
    brackets = data.count(b"[") + data.count(b"{")
    if brackets > MAX_DEPTH:
        _check_shape(data, what)
    resting = len(data) >= _BIG and gc.isenabled()
    if resting:
        gc.disable()
    try:
        _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"bad {what}: {error}") from None
    finally:
        if resting:
            gc.enable()
    return msgspec.Raw(data)


def _check_shape(data: bytes, what: str) -> None:
    """Count the levels and the containers of JSON of sound grammar.

    Only the brackets outside of strings are looked at, as steps of +1 and -1.

    @raise LimitExceeded: deeper than L{MAX_DEPTH}, or more than L{MAX_CONTAINERS} or
        L{MAX_OBJECTS}.
    """
    brackets = _STRING.sub(b"", data)
    if brackets.count(b"{") > MAX_OBJECTS:
        raise LimitExceeded(
            f"the {what} has more than {MAX_OBJECTS} objects",
            hint="send it in parts, as a string, or as arrays",
        )
    steps = brackets.translate(_STEPS, _REST)
    if len(steps) > 2 * MAX_CONTAINERS:
        raise LimitExceeded(
            f"the {what} has more than {MAX_CONTAINERS} arrays and objects",
            hint="send it in parts, or as a string",
        )
    if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
        raise LimitExceeded(
            f"the {what} has more than {MAX_DEPTH} levels of arrays and objects",
            hint="make it flatter, or send it as a string",
        )
