"""The watchdog of the reactor's turns: finds those that delay all other requests.

A turn is what happens between two polls. It is too long if it uses much processor time (of the
thread, so that a busy machine does not count), or if it is held up: it takes long without
computing and without waiting for a processor. A thread that samples the stack says where the
reactor was meanwhile.

The loop (L{clove.loop.turns}) looks at the clock where a turn begins and ends, and asks for more
only where that may have been too long.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from twisted.logger import Logger

from clove.messages.metrics import ReactorTurns

__all__ = ["LONG", "NEVER", "Watchdog", "WatchdogSettings", "pause_after"]

LONG: Final = "one turn of the reactor"
"""Begins the log's lines, which tests look for."""
NEVER: Final = float("inf")
"""When the turn that does not last began: the reactor polls."""
_LINES_A_SECOND: Final = 1.0
_IDLE_LOOKS: Final = 10
_IDLE: Final = 10  # times as long between two looks of which so many found the reactor polling
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
    @ivar may_last: seconds after which a turn may have been too long, for L{judge} to say.
    @ivar begun: when the turn that lasts began; L{NEVER} while the reactor polls. The first
        lasts before any poll.
    @ivar may_be_old: seconds after which a turn that begins looks the thread's times up again
        (L{refresh}): every turn would be too often. So a turn may be taken for that much shorter
        than it was, and never for longer.
    @ivar refreshed: when that was.
    """

    log = Logger()
    may_be_old: Final = 0.01

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
        self._queued = _Schedule() if queued is None else queued
        self.may_last = min(settings.cpu, settings.held_up) if settings.cpu > 0 else NEVER
        self._thread = threading.get_ident()
        self.begun = clock()
        self.refresh(self.begun)
        self._sample: tuple[float, str] = (0.0, "")
        self._logged = -_LINES_A_SECOND
        self._over = threading.Event()

    def start(self) -> None:
        """Sample, in a thread."""
        if self._settings.sample and self.may_last < NEVER:
            threading.Thread(target=self._look, daemon=True, name="watchdog").start()

    def stop(self) -> None:
        """Sample no more."""
        self._over.set()

    def refresh(self, now: float) -> None:
        """Note the thread's times."""
        self.refreshed = now
        self._began_cpu = self._cpu()
        self._waited = self._queued()

    def judge(self, now: float) -> None:
        """The turn that ends may have been too long. Those just before it may have used a part."""
        begun = self.begun
        before, lasted = begun - self.refreshed, now - begun
        used = min(lasted, self._cpu() - self._began_cpu - before)
        queued = self._queued() - self._waited
        self.refresh(now)
        settings, turns = self._settings, self.turns
        if used > turns.longest:
            turns.longest = used
        if used > settings.cpu:
            turns.busy += 1
            self._tell(begun, f"used {used * 1000:.0f} ms of processor time")
        elif lasted > settings.held_up:
            held = lasted - max(used, 0.0) - before - queued
            if held > settings.held_up:
                turns.held_up += 1
                self._tell(begun, f"was held up for {held * 1000:.0f} ms")

    def _tell(self, begun: float, what: str) -> None:
        now = self._clock()
        if now - self._logged < _LINES_A_SECOND:
            return
        self._logged = now
        sampled, where = self._sample
        location = f", at:\n{where}" if sampled == begun and where else ""
        self.log.warn("{long} {what}{location}", long=LONG, what=what, location=location)

    def _look(self) -> None:
        """The sampling thread: a turn that was there a while ago is worth a look."""
        seen = NEVER
        idle = 0
        while not self._over.wait(pause_after(idle, self._settings.cpu / 2)):
            begun = self.begun
            idle = idle + 1 if begun == NEVER else 0
            if begun == seen < NEVER:
                frame = sys._current_frames().get(self._thread)
                if frame is not None:
                    stack = traceback.StackSummary.extract(
                        traceback.walk_stack(frame), limit=_DEEP, lookup_lines=False
                    )
                    where = "".join(f"  {one.filename}:{one.lineno} {one.name}\n" for one in stack)
                    self._sample = (begun, where)
            seen = begun


def pause_after(idle: int, usual: float) -> float:
    """Seconds until the next look: an idle daemon is to wake a laptop's processor seldom.

    @param idle: how many looks in a row have found the reactor polling.
    """
    return usual * _IDLE if idle >= _IDLE_LOOKS else usual


class _Schedule:
    """Seconds for which this thread has waited for a processor so far (proc(5)).

    The file stays open: to open it takes longer than to read it.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not in this kernel: then nothing is held up
            self._file = -1

    def __call__(self) -> float:
        try:
            return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return float("inf")

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)
