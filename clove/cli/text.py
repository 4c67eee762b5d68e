"""Text for people: harmless on a terminal, short, and back from what they type. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

__all__ = [
    "age",
    "clean",
    "counted",
    "default_name",
    "duration",
    "escaped",
    "facts",
    "parse_duration",
    "parse_room",
    "parse_size",
    "short_time",
    "size",
]

_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
LEAST_ROOM: Final = 1 << 20
"""Bytes of the least limit of memory, or of a file system."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME_CHARACTERS = re.compile(r"[^A-Za-z0-9_.@:+ -]")


def clean(text: str) -> str:
    """One line without what a terminal might obey or that hides text.

    Control characters of C0 and C1 (so every escape sequence loses its head),
    line separators, and marks that change the direction of writing; a tab stays.
    """
    return _UNSAFE.sub("", text)


def escaped(line: str) -> str:
    """JSON in one line, with what L{clean} removes as escapes of JSON: for a program it says the same."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def age(milliseconds: float) -> str:
    """A time span in its two largest units: `42s`, `3m 20s`, `5h 1m`, `2d 4h`."""
    seconds = int(milliseconds // 1000)
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m {seconds}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h"


def counted(number: int, noun: str) -> str:
    """A number of things: `1 machine`, `2 machines`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def parse_size(text: str) -> int:
    """Bytes from `512M`, `1.5G`, `64KiB` or a plain number; units are powers of 1024.

    @raise ValueError: it is none of these.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512M or 2G")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " "))


def parse_room(text: str) -> int:
    """The same for a limit, which is 1 MiB at least.

    @raise ValueError: it is no size, or less.
    """
    found = parse_size(text)
    if found < LEAST_ROOM:
        raise ValueError(f"{text!r} is less than 1M: a number without a unit is bytes")
    return found


def size(number: float) -> str:
    """Bytes in the largest unit of which there is one: `512`, `1.5K`, `256M`, `2.25G`."""
    for unit in ("", "K", "M", "G", "T"):
        if number < 1024 or unit == "T":
            break
        number /= 1024
    return f"{number:.3g}{unit}" if number < 1000 else f"{number:.0f}{unit}"


def facts(values: Mapping[str, Any]) -> str:
    """Named values in one line: `command=ls pid=7`; those that are null are left out."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value is not None
    }
    return " ".join(f"{name}={text}" for name, text in texts.items())


def short_time(stamp: str) -> str:
    """An ISO 8601 time in UTC without its fractions of a second, or `-` for none."""
    return f"{stamp[:10]} {stamp[11:19]}" if stamp else "-"


def parse_duration(text: str) -> timedelta:
    """A span from `30s`, `10m`, `2h` or `1d`, or from a number of seconds.

    @raise ValueError: it is none of these.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time span such as 30s, 10m, 2h or 1d")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def duration(since: str, now: datetime) -> timedelta:
    """How long ago an ISO 8601 time was.

    @raise ValueError: it is none.
    """
    return now - datetime.fromisoformat(since)


def default_name(stem: str) -> str:
    """An agent's name from its script's file name without the ending."""
    name = _NAME_CHARACTERS.sub("_", stem).replace("..", "__")[:100].rstrip(" ")
    return name if name[:1].isalnum() or name[:1] == "_" else f"_{name}"
