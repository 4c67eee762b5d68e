"""Deferreds that wait for the same thing, and may each be given up."""

from __future__ import annotations

from twisted.internet.defer import Deferred

__all__ = ["Waiters"]


class Waiters:
    """What waits for one thing to happen. Each request that waits counts with its connection."""

    def __init__(self) -> None:
        self._waiting: set[Deferred[None]] = set()

    def add(self) -> Deferred[None]:
        """One more; cancelling it takes it out."""
        deferred: Deferred[None] = Deferred(self._waiting.discard)
        self._waiting.add(deferred)
        return deferred

    def fire(self) -> None:
        """It has happened."""
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            each.callback(None)

    def fail(self, error: Exception) -> None:
        """It will not happen."""
        waiting, self._waiting = self._waiting, set()
        for each in waiting:
            each.errback(error)
