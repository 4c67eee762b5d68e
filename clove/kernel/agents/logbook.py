"""An agent's output: the last lines in memory, all of it in a rotated file."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.kernel.threads import Threads
from clove.messages.agents import LogLine

__all__ = ["LogFile", "LogLimits", "Logbook"]

_STREAMS = {1: "stdout", 2: "stderr"}


class LogLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for each agent's output."""

    lines: int = 4096
    """Lines held in memory; the oldest go first and count as `lost`."""
    held: int = 256 << 10
    """Bytes of lines held in memory; the oldest go first."""
    line: int = 8 << 10
    """Bytes of one line; a longer one is cut into several."""
    file: int = 4 << 20
    """Bytes of the log file; then it is renamed to `.1` and begun anew."""
    files: int = 2
    """Log files kept for a name, the current one included."""
    unwritten: int = 1 << 20
    """Bytes waiting for the disk; while more wait, the agent's output is not read."""


class LogFile:
    """A log file with rotation. Its methods block; they run in threads."""

    def __init__(self, path: str, limits: LogLimits) -> None:
        self._path = path
        self._limits = limits

    def append(self, data: bytes) -> None:
        """Write at the end; rotate when it grows over its limit.

        @raise OSError: the disk is full, or something that is not our regular
            file lies at the path.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._path, flags | os.O_NONBLOCK, 0o600)
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise PermissionError(f"{self._path} is not a log file of ours")
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            size = facts.st_size + len(data)
        finally:
            os.close(handle)
        if size > self._limits.file:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(self._limits.files - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            if os.path.lexists(older):
                os.replace(older, f"{self._path}.{number}")
        if self._limits.files <= 1:
            os.truncate(self._path, 0)


class _Raw(NamedTuple):
    """Whole lines as they came.

    @ivar body: each line ends with a newline.
    @ivar lines: how many, long ones cut.
    @ivar first: offset of the first one.
    @ivar size: bytes without the newlines.
    """

    stream: int
    body: bytes
    lines: int
    first: int
    stamp: str
    size: int


def _pieces_more(body: bytes, limit: int) -> int:
    """How many more lines than newlines there are when long lines are cut."""
    more = at = 0
    end = len(body)
    while end - at > limit:
        newline = body.rfind(b"\n", at, at + limit + 1)
        if newline < 0:
            newline = body.find(b"\n", at)
            more += (newline - at - 1) // limit
        at = newline + 1
    return more


class Logbook:
    """Takes an agent's output and gives it out by line offsets.

    @ivar hold: called with True when the output should not be read for now,
        with False when it should again.
    """

    log = Logger()

    def __init__(
        self, file: LogFile, threads: Threads, limits: LogLimits, now: Callable[[], float]
    ) -> None:
        self._file = file
        self._threads = threads
        self._limits = limits
        self._now = now
        self._lines: deque[LogLine] = deque()
        self._size = 0
        self._raw: deque[_Raw] = deque()
        self._raw_lines = 0
        self._raw_size = 0
        self._next = 0
        self._partial: dict[int, bytes] = {1: b"", 2: b""}
        self._unwritten: list[bytes] = []
        self._waiting = 0
        self._writing: Deferred[None] | None = None
        self._holding = False
        self._watchers: set[Callable[[], None]] = set()
        self.hold: Callable[[bool], None] = lambda _: None

    @property
    def next_offset(self) -> int:
        """The offset that the next line will have."""
        return self._next

    def take(self, stream: int, data: bytes) -> None:
        """Bytes of output arrived. They become lines when somebody asks for them."""
        limit = self._limits.line
        whole = self._partial[stream] + data
        cut = whole.rfind(b"\n") + 1
        body, rest = whole[:cut], whole[cut:]
        while len(rest) > limit:
            body += rest[:limit] + b"\n"
            rest = rest[limit:]
        self._partial[stream] = rest
        if body:
            self._keep(stream, body)
        self._write(data)
        if body:
            self._wake()

    def _keep(self, stream: int, body: bytes) -> None:
        """Hold whole lines; drop what they push out, read or not."""
        newlines = body.count(b"\n")
        count = newlines + _pieces_more(body, self._limits.line)
        stamp = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        raw = self._raw
        raw.append(_Raw(stream, body, count, self._next, stamp, len(body) - newlines))
        self._next += count
        self._raw_lines += count
        self._raw_size += len(body) - newlines
        while (
            self._raw_lines - raw[0].lines >= self._limits.lines
            or self._raw_size - raw[0].size > self._limits.held
        ):
            self._take_raw()
            self._lines.clear()
            self._size = 0

    def _take_raw(self) -> _Raw:
        raw = self._raw.popleft()
        self._raw_lines -= raw.lines
        self._raw_size -= raw.size
        return raw

    def _read(self) -> None:
        """Make lines of all that is held."""
        while self._raw:
            raw = self._take_raw()
            limit = self._limits.line
            lines = raw.body[:-1].split(b"\n")
            if len(lines) != raw.lines:
                lines = [
                    line[start : start + limit]
                    for line in lines
                    for start in range(0, len(line) or 1, limit)
                ]
            skip = max(0, len(lines) - self._limits.lines)
            for offset, line in enumerate(lines[skip:], raw.first + skip):
                self._add(raw.stream, line, raw.stamp, offset)

    def close(self) -> None:
        """The output has ended: an unfinished last line counts, watchers are told."""
        for stream, rest in self._partial.items():
            if rest:
                self.take(stream, b"\n")
        self._wake()

    def since(self, offset: int) -> tuple[list[LogLine], int]:
        """Lines from an offset on, and how many were asked for but are lost."""
        self._read()
        first = self._lines[0].offset if self._lines else self._next
        if offset >= self._next:
            return [], 0
        skip = max(0, offset - first)
        lines = [line for index, line in enumerate(self._lines) if index >= skip]
        return lines, max(0, first - offset)

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when there are new lines; gives the way to stop that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    def _wake(self) -> None:
        for watcher in list(self._watchers):
            watcher()

    def _add(self, stream: int, line: bytes, stamp: str, offset: int) -> None:
        text = line.decode("utf-8", "replace")
        self._lines.append(
            LogLine(offset=offset, stream=_STREAMS[stream], text=text, timestamp=stamp)
        )
        self._size += len(text)
        while len(self._lines) > self._limits.lines or self._size > self._limits.held:
            self._size -= len(self._lines.popleft().text)

    def _write(self, data: bytes) -> None:
        self._unwritten.append(data)
        self._waiting += len(data)
        if self._writing is None:
            self._flush()
        elif self._waiting > self._limits.unwritten and not self._holding:
            self._holding = True
            self.hold(True)

    def _flush(self) -> None:
        data = b"".join(self._unwritten)
        self._unwritten.clear()
        self._waiting = 0
        self._writing = self._threads.run(self._file.append, data)
        self._writing.addErrback(
            lambda failure: self.log.warn(
                "output of an agent could not be logged: {reason}",
                reason=failure.getErrorMessage(),
            )
        )
        self._writing.addCallback(self._written)

    def _written(self, _: object) -> None:
        self._writing = None
        if self._unwritten:
            self._flush()
        if self._holding and self._waiting <= self._limits.unwritten:
            self._holding = False
            self.hold(False)
