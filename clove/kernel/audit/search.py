"""Entries that are looked for among those that are kept. Pure."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappush, heapreplace
from itertools import islice
from operator import attrgetter
from typing import Final, TypeAlias

from clove.kernel.audit.entries import Entry
from clove.kernel.pieces import Pieces

__all__ = ["FIRST", "PAGE", "Wanted", "search"]

PAGE: Final = 512
"""Entries that are looked at in one piece of the work, at most."""
FIRST: Final = 32
"""Those of a family in the first piece: most often no more of it is among the newest."""

Wanted: TypeAlias = Callable[[Entry], bool] | None
_id = attrgetter("id")


def search(
    families: Iterable[deque[Entry]], since_id: int | None, wanted: Wanted, most: int
) -> Pieces[list[Entry]]:
    """The first entries after an id, or the newest, of all families together, the oldest first.

    One family is looked through after the other, only as far as its entries may be among those. Entries that
    are added or forgotten meanwhile may be found.

    @param families: the entries of each, by ascending ids.
    @param since_id: None: the newest.
    @param wanted: says which; None: all.
    @param most: how many.
    """
    best = _Best(most, newest=since_id is None)
    next_page = _newest if since_id is None else _after
    for own in list(families) if most else ():
        bound, size = sys.maxsize if since_id is None else since_id, FIRST
        while page := next_page(own, bound, size):
            bound, size = page[-1].id, min(2 * size, PAGE)
            more = best.take(page, wanted)
            yield
            if not more:
                break
    return best.entries()


class _Best:
    """The newest entries, or the oldest, of those that come."""

    def __init__(self, most: int, *, newest: bool) -> None:
        self._most = most
        self._sign = 1 if newest else -1
        self._heap: list[tuple[int, Entry]] = []  # its first is the one that goes for a better one

    def take(self, page: list[Entry], wanted: Wanted) -> bool:
        """Take those that are wanted and good enough, the best of a page first; whether all were good enough."""
        heap, most, sign = self._heap, self._most, self._sign
        for entry in page if wanted is None else filter(wanted, page):
            rank = entry.id * sign
            if len(heap) < most:
                heappush(heap, (rank, entry))
            elif rank > heap[0][0]:
                heapreplace(heap, (rank, entry))
            else:
                return False
        return len(heap) < most or page[-1].id * sign > heap[0][0]

    def entries(self) -> list[Entry]:
        """By ascending ids."""
        return [entry for _, entry in sorted(self._heap, reverse=self._sign < 0)]


def _newest(own: deque[Entry], bound: int, most: int) -> list[Entry]:
    """The next entries of a family below an id, the newest first."""
    passed = len(own) - bisect_left(own, bound, key=_id)
    return list(islice(reversed(own), passed, passed + most))


def _after(own: deque[Entry], bound: int, most: int) -> list[Entry]:
    """The next entries of a family above an id, the oldest first."""
    start = bisect_right(own, bound, key=_id)
    return list(islice(own, start, start + most))
