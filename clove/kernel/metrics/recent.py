"""Readings shared by all requests for the same thing that come soon after each other.

Reading an agent's processes costs a thread some time for each of them. However many ask, each
agent is read no more often than an interval allows, and once at a time for each family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from clove.errors import LimitExceeded

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """What was read last, while it is fresh.

    @param seconds: for which a reading is given again.
    @param most: requests of one family that may wait: all are answered in one go.
    """

    def __init__(self, clock: IReactorTime, seconds: float, most: int) -> None:
        self._clock = clock
        self._most = most
        self._waiting: Counter[int] = Counter()
        self._seconds = seconds
        self._fresh: dict[K, tuple[float, V]] = {}
        self._running: dict[tuple[int, K], list[Deferred[V]]] = {}

    async def get(
        self, family: int, keys: Sequence[K], read: Callable[[list[K]], Deferred[list[V]]]
    ) -> list[V]:
        """The readings of some things, read now where they are not fresh.

        @param family: the caller's: it waits for what its family has asked for already, and for no
            reading of another family, which may wait long for its turn.
        @param read: reads several; gives the readings in their order.
        @raise LimitExceeded: too many of the family wait.
        """
        now = self._clock.seconds()
        found = {key: self._recent(key, now) for key in keys}
        stale = [key for key, value in found.items() if value is None]
        if not stale:
            return [found[key] for key in keys]  # type: ignore[misc]  # none is missing
        if self._waiting[family] >= self._most:
            raise LimitExceeded(
                f"{self._most} requests of your family of agents wait for samples",
                hint="await answers before asking more (limits.metrics.max_waiting)",
            )
        missing = [key for key in stale if (family, key) not in self._running]
        for key in missing:
            self._running[family, key] = []
        waiting = DeferredList([self._wait(family, key) for key in stale], consumeErrors=True)
        if missing:
            read(missing).addBoth(self._came, family, missing, now)
        self._waiting[family] += 1
        try:
            results = await waiting
        finally:
            self._waiting[family] -= 1
            if not self._waiting[family]:
                del self._waiting[family]
        for key, (good, result) in zip(stale, results, strict=True):
            if not good and isinstance(result, Failure):
                result.raiseException()
            found[key] = result
        return [found[key] for key in keys]  # type: ignore[misc]  # none is missing now

    def _recent(self, key: K, now: float) -> V | None:
        at, value = self._fresh.get(key, (now, None))
        return value if 0 <= now - at < self._seconds else None

    def _wait(self, family: int, key: K) -> Deferred[V]:
        waiters = self._running[family, key]
        waiter: Deferred[V] = Deferred(waiters.remove)
        waiters.append(waiter)
        return waiter

    def _came(self, result: list[V] | Failure, family: int, keys: list[K], asked: float) -> None:
        now = self._clock.seconds()
        self._fresh = {key: one for key, one in self._fresh.items() if now - one[0] < self._seconds}
        for index, key in enumerate(keys):
            waiters = self._running.pop((family, key))
            if not isinstance(result, Failure):
                self._fresh[key] = (asked, result[index])
            while waiters:
                waiters.pop().callback(result if isinstance(result, Failure) else result[index])
