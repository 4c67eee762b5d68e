"""Finds a connection that is dead and does not say so.

A relay pings its kernels; a kernel that hears nothing for two such intervals asks by itself, and so it
does at once after a jump of the wall clock against the monotonic one: the machine has slept, and its
connection may have been forgotten by what is between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["Liveness"]

TICK: Final = 2.0
"""Seconds between two looks at the clocks."""
JUMP: Final = 5.0
"""Seconds that the two clocks may have moved apart between two looks."""
ANSWER: Final = 5.0
"""Seconds for an answer before the connection is cut."""


class Liveness:
    """Watches one connection at a time.

    @param probe: asks the other side for anything.
    @param cut: ends the connection.
    """

    def __init__(
        self,
        clock: Any,
        wall: Callable[[], float],
        probe: Callable[[], object],
        cut: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._probe = probe
        self._cut = cut
        self._call: Any = None

    def start(self, interval: float, count: Callable[[], int]) -> None:
        """Watch from now on.

        @param interval: seconds between two pings of the other side.
        @param count: how many messages have come.
        """
        self.stop()
        self._interval = max(interval, 1.0)
        self._count = count
        self._seen = count()
        self._heard = self._clock.seconds()
        self._apart = self._wall() - self._heard
        self._deadline: float | None = None
        self._call = self._clock.callLater(TICK, self._look)

    def stop(self) -> None:
        """Watch no more. Idempotent."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _look(self) -> None:
        self._call = self._clock.callLater(TICK, self._look)
        now = self._clock.seconds()
        count = self._count()
        apart = self._wall() - now
        jumped = abs(apart - self._apart) > JUMP
        self._apart = apart
        if count != self._seen and not jumped:
            self._seen, self._heard, self._deadline = count, now, None
        elif self._deadline is not None:
            if now >= self._deadline:
                self.stop()
                self._cut()
        elif jumped or now - self._heard > 2 * self._interval:
            self._seen = count
            self._deadline = now + ANSWER
            self._probe()
