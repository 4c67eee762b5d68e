"""What is asked of a relay's REST API, as values. Pure; standard library only.

L{Asked} is one request. A plan asks more than one, or reads a stream: a generator that yields steps (an
L{Asked}, L{Opened}, L{Next}, L{Wait}) and is sent what comes of each, or has its L{CloveError} raised
in it; each L{Item} is one for the caller. Each client performs these steps in its own way.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from clove.errors import CloveError, ConnectionLost, TimedOut, Unavailable, error_from_reply

__all__ = [
    "PAGE",
    "Asked",
    "Item",
    "Next",
    "Opened",
    "Plan",
    "Planned",
    "Wait",
    "advance",
    "counted_pages",
    "pages",
    "repeated",
    "resumed",
]

PAGE: Final = 1000
_ATTEMPTS: Final = 40
"""To go on with a stream that was cut: for more than a minute, in which a kernel comes back to its relay."""
_REPEATS: Final = 5
"""To be told the results of a deploy on many machines."""

T = TypeVar("T")


class Asked:
    """One request.

    @ivar body: JSON; None: there is none.
    @ivar more: headers.
    """

    __slots__ = ("body", "method", "more", "path")

    def __init__(
        self,
        method: str,
        path: str,
        body: object = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.method = method
        self.path = path
        self.body = body
        self.more = more


class Opened(Asked):
    """A stream of events is opened, in place of the one before.

    @ivar lossy: a WebSocket would do better: what it sends is acknowledged.
    """

    __slots__ = ("lossy",)

    def __init__(self, *arguments: Any, lossy: bool = False) -> None:
        super().__init__(*arguments)
        self.lossy = lossy


class Next:
    """The next event of the stream: its kind, the number to go on from and its fields; None at the end."""

    __slots__ = ()


class Wait:
    """Some seconds go by."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Item(Generic[T]):
    """One for the caller."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


Event = tuple[str, dict[str, Any]]
Plan = Generator["Asked | Next | Wait | Item[T]", Any, None]


class Planned(Generic[T]):
    """A plan that has not begun.

    @ivar steps: begins it.
    """

    __slots__ = ("steps",)

    def __init__(self, steps: Callable[[], Plan[T]]) -> None:
        self.steps = steps


def advance(
    steps: Plan[T], result: Any = None, error: CloveError | None = None
) -> Asked | Next | Wait | Item[T] | None:
    """The step after one of which this came; None: there is none.

    @raise CloveError: the plan ends with it.
    """
    try:
        return steps.send(result) if error is None else steps.throw(error)
    except StopIteration:
        return None


def pages(
    path: str, name: str, query: Mapping[str, str] = MappingProxyType({})
) -> Plan[dict[str, Any]]:
    """The entries of a list, page by page."""
    after = ""
    while True:
        asked = urlencode({**query, "limit": PAGE, "after": after})
        page = yield Asked("GET", f"{path}?{asked}")
        entries, after = _page(page, name, after)
        for entry in entries:
            yield Item(entry)
        if not after:
            return


def counted_pages(path: str, query: Mapping[str, str], most: int) -> Plan[dict[str, Any]]:
    """Entries of a list that is read backwards, so many at most."""
    before = 0
    while most > 0:
        asked = urlencode({**query, "before": before, "limit": min(most, PAGE)})
        page = yield Asked("GET", f"{path}?{asked}")
        entries, before = _page(page, "entries", before)
        for entry in entries:
            yield Item(entry)
        most -= len(entries)
        if not before:
            return


def _page(page: Mapping[str, Any], name: str, asked: Any) -> tuple[list[dict[str, Any]], Any]:
    """The entries of a page, and what to ask for next.

    @param asked: what this one was asked by: one that leads to itself would be asked for without end.
    @raise CloveError: it is no page.
    """
    entries, following = page.get(name), page.get("next")
    fits = isinstance(entries, list) and all(isinstance(each, dict) for each in entries)
    if not fits or (following and following == asked):
        raise CloveError("this is no relay's answer: its list is none", hint="is this its address?")
    return entries or [], following


def resumed(path: str, query: Mapping[str, str], since: int, *, lossy: bool) -> Plan[Event]:
    """Events until the last one; a stream that was cut goes on behind the last number."""
    attempts, began = 0, False
    while True:
        try:
            asked = urlencode({**query, "since": since})
            yield Opened("GET", f"{path}?{asked}", lossy=lossy)
            while (event := (yield Next())) is not None:
                kind, number, fields = event
                attempts, began = 0, True
                since = number if number is not None else since
                if kind == "error":
                    raise error_from_reply(fields)
                yield Item((kind, _decoded(fields) if kind == "output" else fields))
                if kind == "exit":
                    return
            raise ConnectionLost("the relay has ended the stream")
        except (ConnectionLost, TimedOut, Unavailable) as error:
            attempts += 1
            if attempts > _ATTEMPTS or (isinstance(error, Unavailable) and not began):
                raise
            yield Wait(min(2.0, 0.1 * 2**attempts))


def _decoded(fields: dict[str, Any]) -> dict[str, Any]:
    """Output with its bytes, however they came."""
    if isinstance(fields.get("data"), bytes):
        return fields
    try:
        data = base64.b64decode(fields["data"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise ConnectionLost("the relay has sent output that makes no sense") from None
    return {"offset": fields.get("offset"), "stream": fields.get("stream"), "data": data}


def repeated(path: str, body: object, key: str) -> Plan[dict[str, Any]]:
    """The result of each machine, once; asked for again when the connection is cut."""
    headers = {"Idempotency-Key": key or secrets.token_hex(16)}
    seen: set[str] = set()
    for attempt in range(_REPEATS):
        try:
            yield Opened("POST", path, body, headers)
            while (event := (yield Next())) is not None:
                kind, _, fields = event
                if kind == "done":
                    return
                if kind == "result" and fields["machine_id"] not in seen:
                    seen.add(fields["machine_id"])
                    yield Item(fields)
        except ConnectionLost:
            if attempt + 1 == _REPEATS:
                raise
            yield Wait(0.5 * 2**attempt)
