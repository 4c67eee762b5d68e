"""One subscriber: what it wants and what waits for it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Raw, Struct

from clove.kernel.shares import Shares
from clove.messages.base import Reply

__all__ = ["Happening", "Push", "Subscriber"]

Push = Callable[[Reply], object]
"""Sends a frame unasked. It returns False or raises a CloveError when it cannot."""


class Happening(Struct, frozen=True):
    """An event, shared by all whom it reaches.

    @ivar data: JSON.
    @ivar at: second of the kernel's clock.
    @ivar timestamp: seconds since the epoch.
    """

    type: str
    data: Raw
    source_id: int
    at: float
    timestamp: float


OVERHEAD = 256
"""Bytes charged for an event that waits, beside its data."""


class Subscriber:
    """A bounded queue that drops the oldest.

    @ivar types: what it wants.
    @ivar push: sends events at once, if it asked for that.
    """

    __slots__ = ("_dropped", "_family", "_max_bytes", "_queue", "_shares", "_size", "push", "types")

    def __init__(self, max_queue: int, max_bytes: int, shares: Shares, family: int) -> None:
        self._shares = shares
        self._family = family
        self.types: set[str] = set()
        self.push: Push | None = None
        self._queue: deque[Happening] = deque(maxlen=max_queue)
        self._max_bytes = max_bytes
        self._size = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, event: Happening) -> None:
        """Add an event; the oldest make room for it."""
        queue = self._queue
        size = len(event.data)
        while queue and (len(queue) == queue.maxlen or self._size + size > self._max_bytes):
            self._drop()
        while self._shares.refusal(self._family, size + OVERHEAD) is not None:
            if not queue:  # other subscribers of its family have it all
                self._dropped += 1
                return
            self._drop()
        queue.append(event)
        self._size += size
        self._shares.add(self._family, size + OVERHEAD)

    def _drop(self) -> None:
        self._took(self._queue.popleft())
        self._dropped += 1

    def _took(self, event: Happening) -> None:
        size = len(event.data)
        self._size -= size
        self._shares.give(self._family, size + OVERHEAD)

    def close(self) -> None:
        """Nobody will take what waits."""
        while self._queue:
            self._drop()

    def take(self, most: int) -> tuple[list[Happening], int]:
        """Take out at most so many, oldest first; and how many were dropped since last time."""
        taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        for event in taken:
            self._took(event)
        dropped, self._dropped = self._dropped, 0
        return taken, dropped
