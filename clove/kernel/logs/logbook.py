"""An agent's output: the last lines in memory, all of it in a rotated file."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.kernel.logs.tail import Tail
from clove.sharing.shares import Shares

if TYPE_CHECKING:
    from clove.messages.agents import LogLine
    from clove.sharing.shares import ShareLimits
    from clove.threads.threads import Threads

__all__ = ["LogFile", "LogLimits", "Logbook", "unwritten_shares"]


class LogLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for each agent's output."""

    lines: int = 4096
    """Lines held in memory; the oldest go first and count as `lost`."""
    held: int = 256 << 10
    """Bytes of lines held in memory, as the agent wrote them; the oldest go first and count
    as `lost`."""
    line: int = 8 << 10
    """Bytes of one line; a longer one is cut into several."""
    file: int = 4 << 20
    """Bytes of the log file; then it is renamed to `.1` and begun anew."""
    files: int = 2
    """Log files kept for a name, the current one included."""
    names: int = 2048
    """Names of ended agents whose log files are kept, of which one family may have its share
    (`shares.family`); then the oldest files go, of the family that has most."""
    all_files: int = 1 << 30
    """Bytes of the log files of all ended agents, likewise (`shares.family_memory`)."""
    unwritten: int = 1 << 20
    """Bytes waiting for the disk; while more wait, the agent's output is not read."""
    all_unwritten: int = 128 << 20
    """Bytes of all agents waiting for the disk; while more wait, or more than a family's share
    of them, the output of an agent with more than 64 KiB among them is not read."""


class LogFile:
    """A log file with rotation. Its methods block; they run in threads."""

    def __init__(
        self, path: str, limits: LogLimits, opening: AbstractContextManager[Any] | None = None
    ) -> None:
        """@param opening: held while it is opened, and while files are removed."""
        self._path = path
        self._limits = limits
        self._opening = opening or contextlib.nullcontext()

    def append(self, data: bytes) -> None:
        """Write at the end; rotate when it grows over its limit.

        @raise OSError: the disk is full, or something that is not our regular
            file lies at the path.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._opening:
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


_SMALL = 64 << 10
"""Bytes that an agent may have waiting for the disk however much its family has."""


def unwritten_shares(limits: LogLimits, shares: ShareLimits | None) -> Shares:
    """What waits for the disk, of all agents."""
    what, field = "bytes of output waiting for the disk", "limits.logs.all_unwritten"
    return Shares(what, field, limits.all_unwritten, shares, memory=True, reserve=False)


def _nothing_to_hold(_: bool) -> None:
    """There is no output to stop reading."""


class Logbook:
    """Takes an agent's output and gives it out by line offsets.

    @ivar hold: called with True when the output should not be read for now,
        with False when it should again.
    """

    log = Logger()

    def __init__(
        self,
        file: LogFile,
        threads: Threads,
        limits: LogLimits,
        now: Callable[[], float],
        shares: Shares | None = None,
        family: int = 0,
        written: Callable[[], None] | None = None,
    ) -> None:
        """
        @param shares: of what waits for the disk, of all agents.
        @param family: whose share it counts for.
        @param written: called once it is closed and all of it is written.
        """
        self._shares = shares or unwritten_shares(limits, None)
        self._family = family
        self._file = file
        self._threads = threads
        self._limits = limits
        self._now = now
        self._partial: dict[int, bytes] = {1: b"", 2: b""}
        self._all_written = written
        self._closed = False
        self._unwritten: list[bytes] = []
        self._waiting = 0
        self._missing = 0  # bytes that could not be written since the last that could
        self._writing: Deferred[None] | None = None
        self._holding = False
        self._watchers: set[Callable[[], None]] = set()
        self.hold: Callable[[bool], None] = _nothing_to_hold

    @functools.cached_property
    def _tail(self) -> Tail:
        """Its last lines; made when there are some, or when they are asked for."""
        return Tail(self._limits.lines, self._limits.held, self._limits.line)

    @property
    def next_offset(self) -> int:
        """The offset that the next line will have."""
        return self._tail.following

    @property
    def memory(self) -> int:
        """Bytes of memory that its lines take, about."""
        return self._tail.memory

    def append_output(self, stream: int, data: bytes) -> None:
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
            self._tail.add(stream, body, self._now())
        self._write(data)
        if body:
            self._wake()

    def close(self) -> None:
        """The output has ended: an unfinished last line counts, watchers are told."""
        for stream, rest in self._partial.items():
            if rest:
                self.append_output(stream, b"\n")
        self.hold = _nothing_to_hold
        self._closed = True
        self._wake()
        self._tell_written()

    def _tell_written(self) -> None:
        if self._closed and self._writing is None and self._all_written is not None:
            tell, self._all_written = self._all_written, None
            tell()

    def lines_since(self, offset: int, most: int = sys.maxsize) -> tuple[list[LogLine], int]:
        """Lines from an offset on, and how many before them were asked for but are lost.

        @param most: lines given at most.
        """
        return self._tail.since(offset, most)

    def drop_lines(self) -> None:
        """Hold no lines any more: they count as lost. The file stays."""
        self._tail.clear()
        self._wake()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when there are new lines; gives the way to stop that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    def _wake(self) -> None:
        for watcher in list(self._watchers):
            watcher()

    def _write(self, data: bytes) -> None:
        self._unwritten.append(data)
        self._waiting += len(data)
        self._shares.add(self._family, len(data))
        if self._writing is None:
            self._flush()
        elif self._is_too_much() and not self._holding:
            self._holding = True
            self.hold(True)

    def _is_too_much(self) -> bool:
        if self._waiting > self._limits.unwritten:
            return True
        return self._waiting > _SMALL and self._shares.refusal(self._family, 0) is not None

    def _flush(self) -> None:
        data = b"".join(self._unwritten)
        self._unwritten.clear()
        self._waiting = 0
        missing, size = self._missing, len(data)
        if missing:  # of the last output a part may be there
            data = b"\nclove: up to %d bytes could not be written here\n" % missing + data
        self._writing = self._threads.run(self._file.append, data)
        self._writing.addCallbacks(self._recovered, self._failed, errbackArgs=(size,))
        self._writing.addCallback(self._written, size)

    def _recovered(self, _: object) -> None:
        if self._missing:
            self.log.info("output of an agent can be logged again")
            self._missing = 0

    def _failed(self, failure: Failure, size: int) -> None:
        """The disk is full, say. It is said once: an agent chooses how often it writes."""
        if not self._missing:
            self.log.warn(
                "output of an agent cannot be logged, and is counted meanwhile: {reason}",
                reason=failure.getErrorMessage(),
            )
        self._missing += size

    def _written(self, _: object, size: int) -> None:
        self._writing = None
        self._shares.give(self._family, size)
        if self._unwritten:
            self._flush()
        else:
            self._tell_written()
        if self._holding and not self._is_too_much():
            self._holding = False
            self.hold(False)
