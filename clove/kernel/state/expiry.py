"""What expires when: a heap that tolerates stale items, but not many. Pure."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, NamedTuple

from clove.messages.state import Scope

__all__ = ["Due", "Expiry"]

SLACK: Final = 64
"""Stale items that are never worth a clean-up."""


class Due(NamedTuple):
    """A version of a key that expires."""

    at: float
    owner: int
    scope: Scope
    key: str
    version: int


class Expiry:
    """Items by time.

    An item is stale if its key has been changed or deleted since. Stale items are
    thrown out when they are more than half of the heap, so its size is bounded
    by the number of keys.
    """

    def __init__(self, is_live: Callable[[Due], bool]) -> None:
        """@param is_live: whether the store still has exactly this version."""
        self._is_live = is_live
        self._heap: list[Due] = []
        self._stale = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next(self) -> float:
        """No live item is due before this (infinity: there are none)."""
        return self._heap[0].at if self._heap else inf

    def add(self, due: Due) -> None:
        """One more."""
        heappush(self._heap, due)

    def spoil(self) -> None:
        """One of the items has just become stale."""
        self._stale += 1
        if self._stale > SLACK and self._stale * 2 > len(self._heap):
            self._heap = [due for due in self._heap if self._is_live(due)]
            heapify(self._heap)
            self._stale = 0

    def pop(self, now: float) -> Due | None:
        """Take out a live item that is due."""
        while self._heap and self._heap[0].at <= now:
            due = heappop(self._heap)
            if self._is_live(due):
                return due
            self._stale -= 1
        return None
