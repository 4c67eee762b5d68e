"""Ends of agents, a few at a time, so that the kernel goes on answering.

A hundred agents that are told to end in the same moment wake three hundred
processes, and the kernel waits among them for its turn of the processor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

__all__ = ["EndLimiter", "EndPermit"]


class EndPermit:
    """One end, under way or in the queue. Made by L{EndLimiter.admit}."""

    def __init__(self, limiter: EndLimiter, begin: Callable[[], None]) -> None:
        self._limiter = limiter
        self._begin: Callable[[], None] | None = begin
        self._expiry: IDelayedCall | None = None
        self._released = False

    def release(self) -> None:
        """What was begun has ended, or need not begin any more."""
        self._released = True
        if self._expiry is not None:
            self._expiry.cancel()
            self._expire()

    def begin(self, clock: IReactorTime, seconds: float) -> bool:
        """Begin; False if it is not needed. For L{EndLimiter} alone."""
        begin, self._begin = self._begin, None
        if self._released or begin is None:
            return False
        self._expiry = clock.callLater(seconds, self._expire)
        begin()
        return True

    def _expire(self) -> None:
        self._expiry = None
        self._limiter.free_one()


class EndLimiter:
    """Lets so many begin at the same time, in the order in which they asked.

    @param at_once: how many may be under way.
    @param seconds: after which one no longer counts, however long it takes: one that
        does not end must not hold the others up.
    """

    def __init__(self, clock: IReactorTime, at_once: int, seconds: float) -> None:
        self._clock = clock
        self._free = at_once
        self._seconds = seconds
        self._waiting: deque[EndPermit] = deque()

    def admit(self, begin: Callable[[], None]) -> EndPermit:
        """Have a function called, now if there is room, else in its turn."""
        permit = EndPermit(self, begin)
        self._waiting.append(permit)
        self._begin_waiting()
        return permit

    def free_one(self) -> None:
        """One that was under way no longer counts."""
        self._free += 1
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            if not self._waiting.popleft().begin(self._clock, self._seconds):
                self._free += 1
