"""A watch on the reactor's turns: none may keep the kernel from everybody else.

A turn is what happens between two polls. Too long is one that uses much processor time
(the thread's own, so that a busy machine does not count), and one that is held up: that
lasts long without computing and without waiting for a processor. A thread that samples
says where the reactor was meanwhile.

What every turn costs is two looks at the clock.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from twisted.logger import Logger

from clove.messages.metrics import ReactorTurns

__all__ = ["LONG", "Watchdog", "WatchdogSettings"]

LONG: Final = "one turn of the reactor"
"""Begins the log's lines, which tests look for."""
_LINES_A_SECOND: Final = 1.0
_REFRESH: Final = 0.01
"""Seconds after which a thread's times are looked up again: every turn would be too often.
A turn may be taken for so much shorter than it was, and never for longer."""
_DEEP: Final = 12
"""Innermost frames of a sample."""


class WatchdogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a turn of the reactor is too long; it is logged and counted then."""

    cpu: Annotated[float, msgspec.Meta(ge=0)] = 0.02
    """Seconds of processor time; 0: turns are not watched at all."""
    held_up: Annotated[float, msgspec.Meta(gt=0)] = 0.25
    """Seconds without computing and without waiting for a processor."""
    sample: bool = True
    """Say where the reactor was."""


class Watchdog:
    """Watches a reactor from its own thread.

    @ivar turns: what was seen.
    """

    log = Logger()

    def __init__(
        self,
        settings: WatchdogSettings,
        *,
        cpu: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.monotonic,
        queued: Callable[[], float] | None = None,
    ) -> None:
        self.turns = ReactorTurns()
        self._settings = settings
        self._cpu = cpu
        self._clock = clock
        self._queued = _queued if queued is None else queued
        self._least = min(settings.cpu, settings.held_up)
        self._thread = threading.get_ident()
        self._number = 1  # of the turn; odd while it lasts, as the first does before any poll
        self._began = clock()
        self._began_cpu = cpu()
        self._refreshed = self._began
        self._waited = self._queued()
        self._sample: tuple[int, str] = (0, "")
        self._logged = -_LINES_A_SECOND
        self._over = threading.Event()

    def watch(self, reactor: Any) -> None:
        """Watch the turns of a reactor that polls with an object of its own (epoll's)."""
        if self._settings.cpu <= 0 or not hasattr(reactor, "_poller"):
            return
        reactor._poller = _Watched(reactor._poller, self)
        if self._settings.sample:
            threading.Thread(target=self._look, daemon=True, name="watchdog").start()

    def stop(self) -> None:
        """Sample no more."""
        self._over.set()

    def begin(self) -> None:
        """The poll is over."""
        self._began = now = self._clock()
        if now - self._refreshed > _REFRESH:
            self._refresh(now)
        self._number += 1

    def _refresh(self, now: float) -> None:
        self._refreshed = now
        self._began_cpu = self._cpu()
        self._waited = self._queued()

    def end(self) -> None:
        """The next poll begins."""
        number, self._number = self._number, self._number + 1
        now = self._clock()
        if now - self._began > self._least:
            self._judge(number, now)

    def _judge(self, number: int, now: float) -> None:
        """It may have been too long. The turns just before it may have used a part."""
        before, lasted = self._began - self._refreshed, now - self._began
        used = min(lasted, self._cpu() - self._began_cpu - before)
        queued = self._queued() - self._waited
        self._refresh(now)
        settings, turns = self._settings, self.turns
        if used > turns.longest:
            turns.longest = used
        if used > settings.cpu:
            turns.busy += 1
            self._tell(number, f"used {used * 1000:.0f} ms of processor time")
        elif lasted > settings.held_up:
            held = lasted - max(used, 0.0) - before - queued
            if held > settings.held_up:
                turns.held_up += 1
                self._tell(number, f"was held up for {held * 1000:.0f} ms")

    def _tell(self, number: int, what: str) -> None:
        now = self._clock()
        if now - self._logged < _LINES_A_SECOND:
            return
        self._logged = now
        sampled, where = self._sample
        place = f", at:\n{where}" if sampled == number and where else ""
        self.log.warn("{long} {what}{place}", long=LONG, what=what, place=place)

    def _look(self) -> None:
        """The sampling thread: a turn that was there a while ago is worth a look."""
        seen = -1
        while not self._over.wait(self._settings.cpu / 2):
            number = self._number
            if number & 1 and number == seen:
                frame = sys._current_frames().get(self._thread)
                if frame is not None:
                    stack = traceback.StackSummary.extract(
                        traceback.walk_stack(frame), limit=_DEEP, lookup_lines=False
                    )
                    where = "".join(f"  {one.filename}:{one.lineno} {one.name}\n" for one in stack)
                    self._sample = (number, where)
            seen = number


class _Watched:
    """The object that a reactor polls with."""

    def __init__(self, poller: Any, watchdog: Watchdog) -> None:
        self._poller = poller
        self._begin = watchdog.begin
        self._end = watchdog.end

    def poll(self, *arguments: Any) -> Any:
        """As the object has it."""
        self._end()
        try:
            return self._poller.poll(*arguments)
        finally:
            self._begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)


def _queued() -> float:
    """Seconds for which the calling thread has waited for a processor so far (proc(5))."""
    try:
        with open("/proc/thread-self/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # not in this kernel: then nothing is held up
        return float("inf")
