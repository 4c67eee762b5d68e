"""An agent's output: the last lines in memory, all of it in a rotated file."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

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
        """Bytes of output arrived."""
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        limit = self._limits.line
        while len(rest) > limit:
            lines.append(rest[:limit])
            rest = rest[limit:]
        self._partial[stream] = rest
        stamp = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
        skip = max(0, len(lines) - self._limits.lines)
        self._next += skip  # a flood: these would be gone at once
        for line in lines[skip:]:
            for start in range(0, len(line) or 1, limit):
                self._add(stream, line[start : start + limit], stamp)
        self._write(data)
        if lines:
            self._wake()

    def close(self) -> None:
        """The output has ended: an unfinished last line counts, watchers are told."""
        for stream, rest in self._partial.items():
            if rest:
                self.take(stream, b"\n")
        self._wake()

    def since(self, offset: int) -> tuple[list[LogLine], int]:
        """Lines from an offset on, and how many were asked for but are lost."""
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

    def _add(self, stream: int, line: bytes, stamp: str) -> None:
        text = line.decode("utf-8", "replace")
        self._lines.append(
            LogLine(offset=self._next, stream=_STREAMS[stream], text=text, timestamp=stamp)
        )
        self._next += 1
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
