"""An agent's output: the last bytes and lines in memory, a rotated file, and who is attached.

`docs/output.md` says what flows where.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clove.errors import LimitExceeded
from clove.kernel.logs.attach_point import AttachPoint
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.log_file import LogFile, LogWriter, unwritten_shares
from clove.kernel.logs.spool import Spool
from clove.kernel.logs.tail import Tail
from clove.kernel.logs.throttle import Throttle
from clove.sandbox.interface import REMARK

if TYPE_CHECKING:
    from clove.kernel.logs.bypass import StartPump
    from clove.kernel.logs.throttle import Source
    from clove.messages.agents import LogLine
    from clove.sandbox.reading_time import ReadingTime
    from clove.sharing.shares import Shares
    from clove.threads.threads import Threads

__all__ = ["Logbook"]

STDERR = 2
REMARKS = 64 << 10
"""Bytes of the kernel's own that may wait for the one who is attached, beyond the agent's."""


class Logbook:
    """Takes an agent's output and gives it out by offsets.

    @ivar closed: no more will come.
    """

    def __init__(
        self,
        file: LogFile,
        threads: Threads,
        limits: LogLimits,
        now: Callable[[], float],
        shares: Shares | None = None,
        family: int = 0,
        written: Callable[[], None] | None = None,
        reactor: Any = None,
        time: ReadingTime | None = None,
        start_pump: StartPump | None = None,
    ) -> None:
        """
        @param shares: of what waits for the disk, of all agents.
        @param family: whose share it counts for.
        @param written: called once it is closed and all of it is written.
        @param reactor: for the pipes and the time of one who is attached.
        @param time: its family's, in which the output is read.
        @param start_pump: see L{AttachPoint}.
        """
        self._throttle = Throttle(time)
        self._disk = (threads, limits, shares or unwritten_shares(limits, None), family)
        self._file = file
        self._written = written
        self._limits = limits
        self._now = now
        self._reactor = reactor
        self._start_pump = start_pump
        self._partial: dict[int, bytes] = {1: b"", 2: b""}
        self._watchers: set[Callable[[], None]] = set()
        self.closed = False

    @functools.cached_property
    def _writer(self) -> LogWriter:
        """Writes it to the file; made when there is some, or when it ends."""
        hold, written = self._throttle.hold, self._written
        return LogWriter(self._file, *self._disk, hold, written, self._reactor)

    @functools.cached_property
    def _tail(self) -> Tail:
        """Its last lines; made when there are some, or when they are asked for."""
        return Tail(self._limits.lines, self._limits.held, self._limits.line)

    @functools.cached_property
    def _spool(self) -> Spool:
        """Its last bytes, likewise."""
        return Spool(self._limits.held)

    @property
    def spool(self) -> Spool:
        """Its last bytes, as of now."""
        self.attach_point.catch_up()
        return self._spool

    @functools.cached_property
    def attach_point(self) -> AttachPoint:
        """Where one attaches, likewise."""
        return AttachPoint(
            self._spool,
            self._writer,
            self._throttle,
            self._limits,
            self._reactor,
            (self._keep_passed, self._skip),
            self._start_pump,
        )

    @property
    def next_offset(self) -> int:
        """The offset that the next line will have."""
        self.attach_point.catch_up()
        return self._tail.following

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes, about, as lines and as bytes."""
        return self._tail.memory + self._spool.memory

    # writing

    def follow_source(self, source: Source | None) -> None:
        """The output comes from here from now on, and is read no faster than it may be."""
        self._throttle.follow(source)

    def append_output(self, stream: int, data: bytes) -> None:
        """Bytes of output arrived.

        @param stream: 1, 2, or L{REMARK} for the kernel's own words: as the agent's stderr, or where much
            waits already for one who is attached, as lines alone.
        """
        if stream == REMARK:
            stream = STDERR
            if self.attach_point.waiting(STDERR) > self._limits.held + REMARKS:
                self._append_lines(STDERR, data)
                self._writer.write(data)
                self._wake()
                return
        self.attach_point.catch_up()
        self._keep(stream, data)
        self.attach_point.write(stream, data)
        self._wake()

    def _keep(self, stream: int, data: bytes) -> None:
        self._append_lines(stream, data)
        self._spool.add(stream, data)
        self._writer.write(data)

    def _keep_passed(self, stream: int, data: bytes) -> None:
        """Bytes that the one who is attached has already."""
        self._keep(stream, data)
        self._wake()

    def _skip(self, size: int) -> None:
        """Bytes that it has, and that nothing here has seen: they count as lines of the greatest length."""
        self._partial = {1: b"", 2: b""}
        self._tail.skip(1 + size // self._limits.line)
        self._spool.skip(size)
        self._writer.leave_out(size)

    def _append_lines(self, stream: int, data: bytes) -> None:
        limit = self._limits.line
        whole = self._partial[stream] + data
        cut = whole.rfind(b"\n") + 1
        body, rest = whole[:cut], whole[cut:]
        if body:
            self._tail.add(stream, body, self._now())
        while len(rest) > limit:
            self._tail.add(stream, rest[:limit] + b"\n", self._now(), partial=True)
            rest = rest[limit:]
        self._partial[stream] = rest

    def close(self) -> None:
        """The output has ended: an unfinished last line counts, watchers are told."""
        self.attach_point.catch_up()
        for stream, rest in self._partial.items():
            if rest:
                self._partial[stream] = b""
                self._tail.add(stream, rest + b"\n", self._now(), partial=True)
                self._writer.write(b"\n")
        self._throttle.follow(None)
        self.closed = True
        self.attach_point.finish()
        self._wake()
        self._writer.close()

    # reading

    def lines_since(self, offset: int, most: int = sys.maxsize) -> tuple[list[LogLine], int]:
        """Lines from an offset on, and how many before them were asked for but are lost.

        @param most: lines given at most.
        """
        self.attach_point.catch_up()
        return self._tail.since(offset, most)

    def drop_lines(self) -> None:
        """Hold nothing any more: it counts as lost. The file stays."""
        self.attach_point.catch_up()
        self._tail.clear()
        self._spool.clear()
        self._wake()

    def check_watchers(self) -> None:
        """@raise LimitExceeded: as many wait for more of it as may."""
        most = self._limits.waiting
        if len(self._watchers) >= most:
            raise LimitExceeded(
                f"{most} requests wait for this agent's output already",
                hint="ask without `wait`, or raise limits.logs.waiting",
            )

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when there is new output; gives the way to stop that."""
        self._watchers.add(watcher)
        return lambda: self._watchers.discard(watcher)

    def _wake(self) -> None:
        for watcher in list(self._watchers):
            watcher()
