"""One subscriber: what it wants and what waits for it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec import Raw, Struct

from clove.messages.base import Reply

__all__ = ["Happening", "Push", "Subscriber"]

Push = Callable[[Reply], object]
"""Sends a frame unasked. It returns False or raises a CloveError when it cannot."""


class Happening(Struct, frozen=True):
    """An event, shared by all whom it reaches.

    @ivar data: JSON.
    @ivar at: second of the kernel's clock.
    """

    type: str
    data: Raw
    source_id: int
    at: float


class Subscriber:
    """A bounded queue that drops the oldest.

    @ivar types: what it wants.
    @ivar push: sends events at once, if it asked for that.
    """

    __slots__ = ("_dropped", "_max_bytes", "_queue", "_size", "push", "types")

    def __init__(self, max_queue: int, max_bytes: int) -> None:
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
            self._size -= len(queue.popleft().data)
            self._dropped += 1
        queue.append(event)
        self._size += size

    def take(self, most: int) -> tuple[list[Happening], int]:
        """Take out at most so many, oldest first; and how many were dropped since last time."""
        taken = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        self._size -= sum(len(event.data) for event in taken)
        dropped, self._dropped = self._dropped, 0
        return taken, dropped
