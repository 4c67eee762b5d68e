"""A rotated file, and what waits to be written to it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.logger import Logger

from clove.kernel.logs.limits import LogLimits
from clove.sharing.shares import Shares

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

    from clove.sharing.shares import ShareLimits
    from clove.threads.threads import Threads

__all__ = ["LogFile", "LogWriter", "unwritten_shares"]

PAUSE = 0.05
"""Seconds between writes of what may be skipped: a flood costs the disk, and the processors that its
reader wants as well, no more than `limits.logs.unwritten` in that time."""
_SMALL = 64 << 10
"""Bytes that an agent may have waiting for the disk however much its family has."""


class LogFile(msgspec.Struct, frozen=True):
    """A log file with rotation. Its methods block; they run in threads.

    @ivar opening: held while it is opened, and while files are removed.
    """

    path: str
    limits: LogLimits
    opening: AbstractContextManager[Any] = msgspec.field(default_factory=contextlib.nullcontext)

    def append(self, data: bytes) -> None:
        """Write at the end; rotate when it grows over its limit.

        @raise OSError: the disk is full, or something that is not our regular
            file lies at the path.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.opening:
            handle = os.open(self.path, flags | os.O_NONBLOCK, 0o600)
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise PermissionError(f"{self.path} is not a log file of ours")
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
            size = facts.st_size + len(data)
        finally:
            os.close(handle)
        if size > self.limits.file:
            self._rotate()

    def _rotate(self) -> None:
        for number in range(self.limits.files - 1, 0, -1):
            older = self.path if number == 1 else f"{self.path}.{number - 1}"
            if os.path.lexists(older):
                os.replace(older, f"{self.path}.{number}")
        if self.limits.files <= 1:
            os.truncate(self.path, 0)


def unwritten_shares(limits: LogLimits, shares: ShareLimits | None) -> Shares:
    """What waits for the disk, of all agents."""
    what, field = "bytes of output waiting for the disk", "limits.logs.all_unwritten"
    return Shares(what, field, limits.all_unwritten, shares, memory=True, reserve=False)


class LogWriter:
    """Writes an agent's output to its file, in threads.

    @param shares: of what waits for the disk, of all agents.
    @param family: whose share it counts for.
    @param hold: called with True when the output should not be read for now, with False when it
        should again.
    @param written: called once it is closed and all of it is written.
    @param clock: where the file may be skipped, it is written to every L{PAUSE} seconds.
    """

    log = Logger()

    def __init__(
        self,
        file: LogFile,
        threads: Threads,
        limits: LogLimits,
        shares: Shares,
        family: int,
        hold: Callable[[bool], None],
        written: Callable[[], None] | None,
        clock: IReactorTime | None = None,
    ) -> None:
        self._file = file
        self._threads = threads
        self._limits = limits
        self._shares = shares
        self._family = family
        self._hold = hold
        self._all_written = written
        self._clock = clock
        self._pause: IDelayedCall | None = None
        self._closed = False
        self._unwritten: deque[bytes] = deque()
        self._waiting = 0
        self._skips = False
        self._skipped = 0
        self._missing = 0  # bytes that could not be written since the last that could
        self._writing: Deferred[None] | None = None
        self._holding = False

    def write(self, data: bytes) -> None:
        """Write it when the disk has what came before."""
        self._unwritten.append(data)
        self._waiting += len(data)
        self._shares.add(self._family, len(data))
        if self._writing is None and self._pause is None:
            self._flush()
        elif self._is_too_much():
            self._relieve()

    def skip(self, skips: bool) -> None:
        """Leave out of the file what the disk is too slow for, or hold the output for it."""
        self._skips = skips
        if skips and self._holding:
            self._relieve()
            self._release()

    def leave_out(self, size: int) -> None:
        """Bytes went past that are not here; what came before them and waits is left out, too."""
        self._skipped += size + self._waiting
        self._shares.give(self._family, self._waiting)
        self._unwritten.clear()
        self._waiting = 0

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
            self._go_on()
        self._tell_written()

    def _is_too_much(self) -> bool:
        if self._waiting > self._limits.unwritten:
            return True
        return self._waiting > _SMALL and self._shares.refusal(self._family, 0) is not None

    def _relieve(self) -> None:
        """More waits than may: leave out the oldest, or have no more of it read."""
        if not self._skips:
            if not self._holding:
                self._holding = True
                self._hold(True)
            return
        while len(self._unwritten) > 1 and self._is_too_much():
            size = len(self._unwritten.popleft())
            self._waiting -= size
            self._skipped += size
            self._shares.give(self._family, size)

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._hold(False)

    def _flush(self) -> None:
        data = b"".join(self._unwritten)
        self._unwritten.clear()
        self._waiting = 0
        missing, size = self._missing, len(data)
        if self._skipped:
            data = b"\nclove: %d bytes came too fast to be written here\n" % self._skipped + data
            self._skipped = 0
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
        if self._skips and self._clock is not None and not self._closed:
            self._pause = self._clock.callLater(PAUSE, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Write what has come meanwhile."""
        self._pause = None
        if self._unwritten:
            self._flush()
        else:
            self._tell_written()
        if not self._is_too_much():
            self._release()

    def _tell_written(self) -> None:
        if self._closed and self._writing is None and self._all_written is not None:
            tell, self._all_written = self._all_written, None
            tell()
