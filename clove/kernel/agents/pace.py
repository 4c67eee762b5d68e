"""A few at a time: what would keep the machine from serving anybody if all did it at once.

A hundred agents that are told to end in the same moment wake three hundred
processes, and the kernel waits among them for its turn of the processor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["Pace", "Turn"]


class Turn:
    """One's place in the queue. Made by L{Pace.turn}."""

    def __init__(self, pace: Pace, begin: Callable[[], None]) -> None:
        self._pace = pace
        self._begin: Callable[[], None] | None = begin
        self._expiry: IDelayedCall | None = None
        self._over = False

    def over(self) -> None:
        """What was begun has ended, or need not begin any more."""
        self._over = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expire()

    def begin(self, clock: IReactorTime, seconds: float) -> bool:
        """The turn has come; False if it is not needed. For L{Pace} alone."""
        begin, self._begin = self._begin, None
        if self._over or begin is None:
            return False
        self._expiry = clock.callLater(seconds, self._expire)
        begin()
        return True

    def _expire(self) -> None:
        self._expiry = None
        self._pace.go_on()


class Pace:
    """Lets so many begin at the same time, in the order in which they asked.

    @param at_once: how many may be under way.
    @param seconds: after which one no longer counts, however long it takes: who
        does not end must not hold the others up.
    """

    def __init__(self, clock: IReactorTime, at_once: int, seconds: float) -> None:
        self._clock = clock
        self._free = at_once
        self._seconds = seconds
        self._waiting: deque[Turn] = deque()

    def turn(self, begin: Callable[[], None]) -> Turn:
        """Have a function called, now if there is room, else when its turn comes."""
        turn = Turn(self, begin)
        self._waiting.append(turn)
        self._fill()
        return turn

    def go_on(self) -> None:
        """One that was under way no longer counts."""
        self._free += 1
        self._fill()

    def _fill(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            if not self._waiting.popleft().begin(self._clock, self._seconds):
                self._free += 1
