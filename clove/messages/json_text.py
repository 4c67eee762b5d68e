"""What can be counted in JSON text before it is decoded. Pure.

The cost of decoding text is up to its author: objects, and above all numbers that no short cut
handles (a decimal that is almost nothing, or that lies between two doubles), of which 1 MiB takes
a second. So what must be known is counted in the bytes, by operations that go over them once.
The caller has checked the grammar.
"""

from __future__ import annotations

import re
from typing import Final

from clove.errors import InvalidRequest, LimitExceeded

__all__ = [
    "MAX_LARGE",
    "MAX_PARTS",
    "MAX_SLOW",
    "MAX_STRINGS",
    "check_numbers",
    "check_small",
    "has_no_large_exponent",
    "outside_strings",
    "parts",
    "slow_numbers",
]

MAX_STRINGS: Final = 150_000
"""Strings of a text that has to be looked at without them; to cut out more holds others up."""
MAX_LARGE: Final = 500
"""Numbers with a positive exponent of three digits or more in one value; each is looked at."""
MAX_PARTS: Final = 40_000
"""Values in a request, of which some may be anything."""
MAX_SLOW: Final = 500
"""Numbers among these that take a decoder long."""
_PIECE: Final = 1 << 15
"""Bytes from which strings are taken out at a time: more would not stay in the cache."""
_LONG: Final = 200
"""Digits of a number's integer part from which on it may be more than a double can hold."""
_MANY: Final = b"0" * _LONG
_INTEGER: Final = 4300
"""Digits of an integer that usual decoders take (Python's `sys.int_info`)."""
_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
_JOINED: Final = bytes.maketrans(b"[]{}:E", b",,,,,e")
_FRACTIONS: Final = bytes.maketrans(b"123456789.", b"0" * 10)
_LONG_POINT: Final = _MANY + b"."
_LONG_EXPONENT: Final = _MANY + b"e"
_POINTS: Final = bytes.maketrans(b".", b"e")
_LARGE: Final = re.compile(rb"e\+?000+")


def outside_strings(data: bytes, most: int = MAX_STRINGS) -> bytes:
    """The text without its strings.

    @raise LimitExceeded: more strings than C{most}.
    """
    if b"\\" in data:  # a pair of them first: what it ends with escapes nothing
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if data.count(b'"') > 2 * most:
        raise LimitExceeded(
            f"more than {most} strings in one value", hint="send it in parts, or as a string"
        )
    outside, in_string = [], 0
    for at in range(0, len(data), _PIECE):
        pieces = data[at : at + _PIECE].split(b'"')
        outside.append(b"".join(pieces[in_string::2]))
        in_string ^= (len(pieces) - 1) & 1
    return b"".join(outside)


def parts(outside: bytes) -> int:
    """Commas and opening brackets: about how many things a decoder makes.

    @param outside: text without its strings.
    """
    return outside.count(b",") + outside.count(b"[") + outside.count(b"{")


def slow_numbers(outside: bytes) -> int:
    """How many numbers take a decoder several microseconds, at most; a long one counts as several.

    These have an exponent of three digits, or more than 19 digits. Doubles as usual encoders
    write them (17 digits, leading zeros besides) and integers of 64 bits are none.

    @param outside: text without its strings.
    """
    text = outside.translate(_JOINED, b"+- \t\r\n").replace(b",0.00", b",.").translate(_FRACTIONS)
    long = text.count(b"0" * 21)
    return long + text.count(b"e000") + text.count(b"0" * 20 + b"e") if b"e" in text else long


def check_small(payload: bytes) -> None:
    """See that decoding a request takes little time, whatever its strings are.

    What is refused here need not be JSON at all, so it is a bad request rather than too large.

    @raise InvalidRequest: more values than L{MAX_PARTS}, or numbers than L{MAX_SLOW}.
    """
    try:
        outside = outside_strings(payload, 2 * MAX_PARTS + 2)  # each a name or a value
    except LimitExceeded as error:
        raise InvalidRequest(f"bad request: {error.message}", hint=error.hint) from None
    if parts(outside) > MAX_PARTS:
        raise InvalidRequest(f"bad request: more than {MAX_PARTS} values", hint="ask in parts")
    if slow_numbers(outside) > MAX_SLOW:
        raise InvalidRequest(
            f"bad request: more than {MAX_SLOW} numbers of many digits or with large exponents",
            hint="write them with fewer digits, or in a string",
        )


def has_no_large_exponent(data: bytes) -> bool:
    """Whether nothing in a text looks like a number with a positive exponent of three digits or more.

    In a text of less than 200 bytes no other number can be too large.
    """
    # Without "+" there is one thing to look for, and count() is quicker than `in`, which asks for a buffer.
    return not data.translate(_DIGITS, b"+").count(b"e000")


def check_numbers(data: bytes) -> None:
    """See that each number is one that every usual decoder takes.

    @raise InvalidRequest: a number that no double can hold, or an integer that is too long.
    @raise LimitExceeded: more than L{MAX_LARGE}.
    """
    if len(data) < _LONG and has_no_large_exponent(data):
        return
    if not _may_be_large(data.translate(_DIGITS)):
        return
    outside = outside_strings(data)
    text = outside.translate(_DIGITS)
    if not _may_be_large(text):
        return
    if b"0" * (_INTEGER + 1) in text:
        raise InvalidRequest(f"a number of more than {_INTEGER} digits")
    if _has_long_float(text):
        raise InvalidRequest("a number that is out of range")
    for count, found in enumerate(_LARGE.finditer(text)):
        if count >= MAX_LARGE:
            raise LimitExceeded(f"more than {MAX_LARGE} numbers with exponents from 100 on")
        before = outside[max(0, found.start() - 2 * _LONG) : found.start()]
        digits = before[len(before.rstrip(b"0123456789.")) :]
        if len(digits) == 2 * _LONG or float(digits + outside[slice(*found.span())]) == _INFINITE:
            raise InvalidRequest("a number that is out of range")


def _has_long_float(text: bytes) -> bool:
    """Whether a number with a point or a positive exponent has very many digits before these."""
    # Long needles take long to find among digits: look for both at once, and not for what is not there.
    ends = text.translate(_POINTS) if b"." in text else text
    if b"e" not in ends or _LONG_EXPONENT not in ends:
        return False
    if _LONG_POINT in text:
        return True
    done, at = 0, text.find(_LONG_EXPONENT)
    while at >= 0:
        end = at + _LONG
        in_fraction = text[done:at].rstrip(b"0").endswith(b".")
        if not in_fraction and text[end + 1 : end + 2] != b"-":
            return True
        done, at = end, text.find(_LONG_EXPONENT, end)
    return False


_INFINITE: Final = float("inf")


def _may_be_large(text: bytes) -> bool:
    if len(text) >= _LONG and _MANY in text:
        return True
    return b"e000" in text or b"e+000" in text
