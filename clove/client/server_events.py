"""Server-sent events, as a relay sends them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from clove.errors import ConnectionLost

__all__ = ["events_of"]


def events_of(read_line: Callable[[], bytes]) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
    """Kind, id and fields of each event; comments are left out, and what is cut in the middle.

    @param read_line: gives one line with its end; nothing at the end of all.
    @raise ConnectionLost: an event makes no sense.
    """
    fields: dict[str, str] = {}
    while line := read_line():
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = text.partition(":")
        if name:
            fields[name] = value.removeprefix(" ")
        elif not text:
            if "event" in fields:
                yield _event(fields)
            fields = {}


def _event(fields: dict[str, str]) -> tuple[str, int | None, dict[str, Any]]:
    number = fields.get("id", "")
    try:
        data = json.loads(fields.get("data", "{}"))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ConnectionLost("the relay has sent an event that makes no sense")
    return fields["event"], int(number) if number.isdecimal() else None, data
