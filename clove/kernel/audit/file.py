"""Security entries on disk: they outlive the kernel, and no flood washes them away.

Written by threads, one batch after the other. Nothing here waits for the disk:
what does not fit the buffer, or cannot be written, is counted, and the next line
that can be written says how much is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.kernel.audit.digest import Digest
from clove.kernel.audit.limits import AuditLimits
from clove.kernel.audit.ring import Stored
from clove.kernel.audit.shown import shown
from clove.kernel.clocks import Wall

__all__ = ["SecurityFile"]

SUMMARY: Final = 60.0
"""Seconds after which what has been counted is written."""

_encode = msgspec.json.Encoder().encode


class SecurityFile:
    """A file of JSON lines, each an entry as GET_AUDIT_LOG gives it.

    @param clock: monotonic.
    @param wall: dates the lines that it adds itself.
    @param append: writes at the end of the file, and rotates it.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        append: Callable[[bytes], Deferred[None]],
        limits: AuditLimits,
        wall: Wall = time.time,
    ) -> None:
        self._wall = wall
        self._clock = clock
        self._append = append
        self._most = limits.file_unwritten
        self._digest = Digest(limits.file_entries, limits.file_period)
        self._lines: list[bytes] = []
        self._size = 0
        self._lost = 0
        self._broken = False
        self._writing: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._closing: Deferred[None] | None = None

    def add(self, entry: Stored, family: int, kind: str) -> None:
        """Take an entry."""
        if self._closing is not None:
            return
        if self._digest.take(entry, family, kind, self._clock.seconds()):
            self._write(_encode(shown(entry)))
        elif self._timer is None:
            self._timer = self._clock.callLater(SUMMARY, self._summarise)

    def close(self) -> Deferred[None]:
        """Write what has been counted; fires when all is written. Takes nothing more."""
        if self._closing is None:
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

    def _own(self, event_type: str, details: dict[str, Any]) -> bytes:
        """A line about the file itself."""
        at = self._wall()
        entry = Stored(0, at, "SECURITY", event_type, 0, "", True, _encode(details))
        return _encode(shown(entry))

    def _write(self, line: bytes) -> None:
        if self._size + len(line) > self._most:
            self._lost += 1
            return
        self._lines.append(line + b"\n")
        self._size += len(line) + 1
        if self._writing is None:
            self._flush()

    def _flush(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        lost, self._lost = self._lost, 0
        missing = lost + len(lines)
        if lost:
            lines.insert(0, self._own("LINES_LOST", {"lines": lost}) + b"\n")
        if self._broken:
            lines.insert(0, b"\n")  # of the last batch a part may be there
        self._writing = self._append(b"".join(lines))
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
        if self._lines:
            self._flush()
        elif self._closing is not None and not self._closing.called:
            self._closing.callback(None)
        return result
