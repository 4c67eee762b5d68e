"""One command from its start to its end: what it says, and why it is ended."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from clove.kernel.files.limits import ExecLimits
from clove.kernel.files.output import BoundedOutput
from clove.sandbox.interface import ExitStatus, IRunning

__all__ = ["Ended", "OnText", "Run"]

OnText = Callable[[int, str], None]
"""Takes (1 for stdout or 2 for stderr, text)."""

_SIGKILL = 9


class Ended(msgspec.Struct, frozen=True):
    """A command that is over.

    @ivar exit_code: its own, or 128 + n for signal n, as POSIX shells say.
    @ivar reason: why it was ended: timeout, output, oom, pids; else empty.
    """

    stdout: BoundedOutput
    stderr: BoundedOutput
    exit_code: int
    reason: str

    @property
    def size(self) -> int:
        """Bytes of output kept."""
        return self.stdout.size + self.stderr.size

    @property
    def truncated(self) -> bool:
        """True if some of the output was dropped."""
        return self.stdout.truncated or self.stderr.truncated


class Run:
    """A command between its start and its end.

    @ivar over: fires with its status, or `kill_wait` seconds after a kill that
        did not work.
    """

    def __init__(self, clock: IReactorTime, limits: ExecLimits, on_text: OnText | None) -> None:
        self.over: Deferred[ExitStatus] = Deferred()
        self._clock = clock
        self._limits = limits
        self._on_text = on_text
        self._stdout = BoundedOutput(limits.output_bytes)
        self._stderr = BoundedOutput(limits.output_bytes)
        self._running: IRunning | None = None
        self._reason = ""
        self._timers: list[IDelayedCall] = []

    def started(self, running: IRunning, timeout: float) -> None:
        """It runs; from now on its time counts."""
        self._running = running
        running.done.addCallbacks(self._end, self._fail)
        if self.over.called:
            return
        self._timers.append(self._clock.callLater(timeout, self.kill, "timeout"))
        if self._reason:  # it has flooded us before we knew that it runs
            self._strike(running)

    def take(self, number: int, data: bytes) -> None:
        """Output of the command."""
        output = self._stdout if number == 1 else self._stderr
        text = output.feed(data)
        if text and self._on_text is not None:
            self._on_text(number, text)
        if self._stdout.total + self._stderr.total > self._limits.flood_bytes:
            self.kill("output")

    def kill(self, reason: str) -> None:
        """End it, for a reason; only the first one counts."""
        if self._reason or self.over.called:
            return
        self._reason = reason
        if self._running is not None:
            self._strike(self._running)

    def abandon(self) -> None:
        """Its caller has given up: kill it if it still runs, forget the timers."""
        self._on_text = None
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        if self._running is not None and not self._running.done.called:
            self._running.kill()

    def ended(self, status: ExitStatus) -> Ended:
        """The result, once it is over."""
        if self._on_text is not None:
            for number, output in ((1, self._stdout), (2, self._stderr)):
                rest = output.rest()
                if rest:
                    self._on_text(number, rest)
        code = status.code if status.code is not None else 128 + (status.signal or _SIGKILL)
        return Ended(self._stdout, self._stderr, code, self._reason or status.reason)

    def _strike(self, running: IRunning) -> None:
        self._timers.append(
            self._clock.callLater(self._limits.kill_wait, self._end, ExitStatus(signal=_SIGKILL))
        )
        running.kill()

    def _end(self, status: ExitStatus) -> None:
        if not self.over.called:
            self.over.callback(status)

    def _fail(self, failure: Failure) -> None:
        if not self.over.called:
            self.over.errback(failure)
