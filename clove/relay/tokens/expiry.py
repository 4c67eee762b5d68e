"""When what tokens have opened ends by their expiry. Pure.

A token expires by the wall clock; timers of a process stand still while its machine is suspended, and know
nothing of a clock that is set. So what is open is compared with the clocks once a second: it ends when the
wall clock says so, or when as much time has gone by as the token had left (suspension included), whichever
comes first. A token that was seen to have expired by the wall clock stays so if that is set back.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import Final, NamedTuple

__all__ = ["Expiry", "Now"]

MOST_EXPIRED: Final = 10_000
"""Tokens of which it is remembered that they were seen to have expired; the oldest is forgotten then."""


class Now(NamedTuple):
    """Both clocks.

    @ivar wall: seconds since the epoch.
    @ivar elapsed: seconds that have gone by since some moment, those of suspension included.
    """

    wall: float
    elapsed: float


class Expiry:
    """Knows which tokens have expired."""

    def __init__(self) -> None:
        self._by_wall: list[tuple[float, str]] = []
        self._by_elapsed: list[tuple[float, str]] = []
        self._watched: set[str] = set()
        self._expired: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, token_id: str, expires: float, now: Now) -> None:
        """Something was opened with a token that expires."""
        if token_id in self._watched:
            return
        self._watched.add(token_id)
        heapq.heappush(self._by_wall, (expires, token_id))
        heapq.heappush(self._by_elapsed, (now.elapsed + expires - now.wall, token_id))

    def forget(self, token_id: str) -> None:
        """All of it has ended."""
        self._watched.discard(token_id)
        if len(self._by_wall) > 2 * len(self._watched) + 64:
            self._by_wall = self._kept(self._by_wall)
            self._by_elapsed = self._kept(self._by_elapsed)

    def _kept(self, heap: list[tuple[float, str]]) -> list[tuple[float, str]]:
        kept = [each for each in heap if each[1] in self._watched]
        heapq.heapify(kept)
        return kept

    def due(self, now: Now) -> list[str]:
        """The tokens that have expired since this was asked last."""
        expired = self._popped(self._by_wall, now.wall)
        for token_id in expired:
            self.note_expired(token_id)
        return [*expired, *self._popped(self._by_elapsed, now.elapsed)]

    def _popped(self, heap: list[tuple[float, str]], limit: float) -> list[str]:
        found = []
        while heap and heap[0][0] <= limit:
            token_id = heapq.heappop(heap)[1]
            if token_id in self._watched:
                self._watched.discard(token_id)
                found.append(token_id)
        return found

    def note_expired(self, token_id: str) -> None:
        """It was seen to have expired."""
        self._expired[token_id] = None
        self._expired.move_to_end(token_id)
        if len(self._expired) > MOST_EXPIRED:
            self._expired.popitem(last=False)

    def has_expired(self, token_id: str) -> bool:
        """Whether it was seen to have."""
        return token_id in self._expired
