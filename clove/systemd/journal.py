"""Log entries in systemd's journal, with fields, by its native protocol. For twistd's `--logger`.

By standard output an entry would have a text and a priority alone, and one of several lines (a traceback)
would be several entries. The fields are a fixed list, so that no value gets there which nobody has thought of.

Nothing here waits. While the journal has no room entries are kept, up to a limit; how many were lost is said.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from zope.interface import implementer

__all__ = ["JournalObserver", "kernel", "relay", "tunnel"]

SOCKET: Final = "/run/systemd/journal/socket"
MOST_KEPT: Final = 1000
"""Entries that wait for the journal at most."""
MOST_CHARACTERS: Final = 16384
"""Of a text; what is longer is cut. A datagram has some 200 kB."""
MOST_VALUE: Final = 256
"""Characters of any other field."""
LAST_SECONDS: Final = 1.0
"""How long the end of the process waits for the journal."""
PRIORITIES: Final = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
FIELDS: Final = {
    "agent": "CLOVE_AGENT",
    "machine": "CLOVE_MACHINE",
    "relay": "CLOVE_RELAY",
    "log_namespace": "CLOVE_PART",
    "log_format": "CLOVE_EVENT",
}
"""What is taken from a log event, and the journal's field for it. CLOVE_EVENT is the text before values are
put into it, the same for all entries of its kind."""


@implementer(ILogObserver)
class JournalObserver:
    """Writes log events into the journal.

    @param identifier: SYSLOG_IDENTIFIER, by which `journalctl -t` finds them.
    @param path: the journal's socket.
    """

    def __init__(self, identifier: str, path: str = SOCKET) -> None:
        self._identifier = identifier
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._kept: deque[bytes] = deque()
        self._lost = 0
        self._lock = threading.Lock()  # threads log as well

    def __call__(self, event: LogEvent) -> None:
        """Write one. Never raises."""
        entry = _entry(self._fields(event))
        with self._lock:
            self._kept.append(entry)
            if len(self._kept) > MOST_KEPT:
                self._kept.popleft()
                self._lost += 1
            self._write()

    def flush(self) -> None:
        """Wait for the journal for a moment: this process ends."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.settimeout(LAST_SECONDS)
            self._write()

    def close(self) -> None:
        """Write no more."""
        self._socket.close()

    def _write(self) -> None:
        """As many as there is room for."""
        while self._kept or self._lost:
            entry = self._kept[0] if self._kept else None
            if self._lost:
                entry = _entry(self._loss())
            assert entry is not None
            try:
                self._socket.sendto(entry, self._path)
            except OSError as error:
                if error.errno != errno.EMSGSIZE or self._lost:
                    return  # no room (EAGAIN), or the journal is being restarted
                self._kept.popleft()  # larger than a datagram may be here: no later try sends it
                self._lost = 1
                continue
            if self._lost:
                self._lost = 0
            else:
                self._kept.popleft()

    def _loss(self) -> Iterator[tuple[str, str]]:
        yield "MESSAGE", f"{self._lost} entries are lost: the journal had no room for them"
        yield "PRIORITY", "4"
        yield "SYSLOG_IDENTIFIER", self._identifier

    def _fields(self, event: LogEvent) -> Iterator[tuple[str, str]]:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        yield "MESSAGE", _cut(text, MOST_CHARACTERS)
        level = event.get("log_level", LogLevel.info)
        yield "PRIORITY", str(PRIORITIES.get(level, 6))
        yield "SYSLOG_IDENTIFIER", self._identifier
        for key, field in FIELDS.items():
            value = event.get(key)
            if isinstance(value, (str, int)) and value != "":
                yield field, _cut(str(value), MOST_VALUE)


def _cut(text: str, most: int) -> str:
    """Without control characters but line feeds and tabs, which a terminal shows as they are."""
    shown = "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)
    return shown if len(shown) <= most else f"{shown[:most]} (cut)"


def _entry(fields: Iterator[tuple[str, str]]) -> bytes:
    """As the native protocol writes them: a value with a line feed has its length first."""
    parts = []
    for name, value in fields:
        data = value.encode(errors="backslashreplace")
        if b"\n" in data:
            size = len(data).to_bytes(8, "little")
            parts.append(name.encode() + b"\n" + size + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


def _factory(identifier: str) -> Callable[[], JournalObserver]:
    def make() -> JournalObserver:
        observer = JournalObserver(identifier)
        atexit.register(observer.flush)
        return observer

    return make


kernel = _factory("clove-kernel")
"""For `twistd --logger clove.systemd.journal.kernel`."""
relay = _factory("clove-relay")
tunnel = _factory("clove-tunnel")
