"""Security entries on disk: they outlive the kernel, and no flood washes them away.

Entries are gathered for a moment, and then written by threads, one batch after the
other, so that a request does no more than to hand them in. Nothing here waits for the
disk: what does not fit the buffer, or cannot be written, is counted, and the next line
that can be written says how much is missing.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.kernel.audit.digest import Digest
from clove.kernel.audit.entries import Stored, shown
from clove.kernel.audit.limits import AuditLimits
from clove.kernel.clocks import Wall

__all__ = ["SecurityFile"]

SUMMARY: Final = 60.0
"""Seconds after which what has been counted is written."""

GATHER: Final = 0.05
"""Seconds that an entry waits for others, at most."""
GATHERED_BYTES: Final = 64 << 10
"""Bytes of entries that wait for others no longer, so that they are looked at in a few at a time."""

_encode = msgspec.json.Encoder().encode


class _Waiting(NamedTuple):
    """An entry that came.

    @ivar at: when, in the clock's seconds.
    """

    entry: Stored
    family: int
    kind: str
    at: float


class SecurityFile:
    """A file of JSON lines, each an entry as GET_AUDIT_LOG gives it.

    @param clock: monotonic.
    @param wall: dates the lines that it adds itself.
    @param append: writes at the end of the file what a function gives, and rotates it; calls both in
        a thread.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        append: Callable[[Callable[[], bytes]], Deferred[None]],
        limits: AuditLimits,
        wall: Wall = time.time,
    ) -> None:
        self._wall = wall
        self._clock = clock
        self._append = append
        self._most = limits.file_unwritten
        self._digest = Digest(limits.file_entries, limits.file_period)
        self._waiting: list[_Waiting] = []
        self._waiting_size = 0
        self._gathering: IDelayedCall | None = None
        self._unwritten: list[Stored] = []
        self._size = 0  # of those, in bytes
        self._lost = 0
        self._broken = False
        self._writing: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._closing: Deferred[None] | None = None

    def add(self, entry: Stored, family: int, kind: str) -> None:
        """Take an entry."""
        if self._closing is not None:
            return
        size = entry.size
        if self._waiting_size + size > min(GATHERED_BYTES, self._most - self._size):
            self._gather()
        self._waiting.append(_Waiting(entry, family, kind, self._clock.seconds()))
        self._waiting_size += size
        if self._gathering is None:
            self._gathering = self._clock.callLater(GATHER, self._gather)

    def _gather(self) -> None:
        """Have those that wait written in a batch."""
        self._decide()
        self._flush()

    def _decide(self) -> None:
        """Which of those that wait are written."""
        if self._gathering is not None and self._gathering.active():
            self._gathering.cancel()
        self._gathering = None
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        for entry, family, kind, at in waiting:
            if self._digest.take(entry, family, kind, at):
                self._write(entry)
            elif self._timer is None:
                self._timer = self._clock.callLater(SUMMARY, self._summarise)

    def close(self) -> Deferred[None]:
        """Write what has been counted; fires when all is written. Takes nothing more."""
        if self._closing is None:
            self._decide()
            if self._timer is not None:
                self._timer.cancel()
            self._summarise()
            self._closing = Deferred()
            if self._writing is None:
                self._closing = succeed(None)
        return self._closing

    def _summarise(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for summary in self._digest.summaries(now):
            details = {
                "family": summary.family,
                "repeated": {str(id): times for id, times in summary.repeated.items()},
                "left_out": summary.left_out,
            }
            self._write(self._own("ENTRIES_COUNTED", details))
        self._flush()

    def _own(self, event_type: str, details: dict[str, Any]) -> Stored:
        """An entry about the file itself."""
        return Stored(0, self._wall(), "SECURITY", event_type, 0, "", True, _encode(details))

    def _write(self, entry: Stored) -> None:
        size = entry.size
        if self._size + size > self._most:
            self._lost += 1
            return
        self._unwritten.append(entry)
        self._size += size

    def _flush(self) -> None:
        """Have a batch written, if there is one and none is under way."""
        if self._writing is not None or not self._unwritten:
            return
        batch, self._unwritten, self._size = self._unwritten, [], 0
        lost, self._lost = self._lost, 0
        missing = lost + len(batch)
        if lost:
            batch.insert(0, self._own("LINES_LOST", {"lines": lost}))
        # Of a batch that failed a part may be there.
        lines = functools.partial(_encoded, batch, b"\n" if self._broken else b"")
        self._writing = self._append(lines)
        self._writing.addCallbacks(self._written, self._failed, errbackArgs=(missing,))
        self._writing.addBoth(self._next)

    def _written(self, _: object) -> None:
        if self._broken:
            self._broken = False
            self.log.info("security entries can be written to their file again")

    def _failed(self, failure: Failure, missing: int) -> None:
        self._lost += missing
        if not self._broken:
            self._broken = True
            self.log.warn(
                "security entries cannot be written to their file, and are counted meanwhile: "
                "{reason}",
                reason=failure.getErrorMessage(),
            )

    def _next(self, result: Any) -> Any:
        self._writing = None
        self._flush()
        if self._writing is None and self._closing is not None and not self._closing.called:
            self._closing.callback(None)
        return result


def _encoded(entries: Iterable[Stored], before: bytes) -> bytes:
    """Their lines, after what stands before them."""
    return b"".join([before, *(_encode(shown(entry)) + b"\n" for entry in entries)])
