"""Server-sent events, as a relay sends them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from clove.errors import ConnectionLost

__all__ = ["Event", "EventLines", "events_of"]

Event = tuple[str, int | None, dict[str, Any]]
"""Kind, id and fields."""
_MOST: Final = 64 << 20
"""Bytes of a line."""


class EventLines:
    """Bytes to events; comments are left out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._fields: dict[str, str] = {}

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete.

        @raise ConnectionLost: one makes no sense.
        """
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > _MOST:
            raise ConnectionLost("the relay has sent too long an event")
        found = [self.take(line) for line in lines]
        return [event for event in found if event is not None]

    def take(self, line: bytes) -> Event | None:
        """The event that a whole line completes.

        @raise ConnectionLost: it makes no sense.
        """
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = text.partition(":")
        if name:
            self._fields[name] = value.removeprefix(" ")
        elif not text:
            fields, self._fields = self._fields, {}
            return _event(fields) if "event" in fields else None
        return None


def events_of(read_line: Callable[[], bytes]) -> Iterator[Event]:
    """Kind, id and fields of each event; comments are left out, and what is cut in the middle.

    @param read_line: gives one line with its end; nothing at the end of all.
    @raise ConnectionLost: an event makes no sense.
    """
    lines = EventLines()
    while line := read_line():
        event = lines.take(line)
        if event is not None:
            yield event


def _event(fields: dict[str, str]) -> Event:
    number = fields.get("id", "")
    try:
        data = json.loads(fields.get("data", "{}"))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise ConnectionLost("the relay has sent an event that makes no sense")
    return fields["event"], int(number) if number.isdecimal() else None, data
