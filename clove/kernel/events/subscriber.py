"""One subscriber: what it wants and what waits for it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct

from clove.messages.base import Reply
from clove.sharing.shares import Shares

__all__ = ["Happening", "Push", "Subscriber"]

Push = Callable[[Reply], object]
"""Sends a frame unasked. It returns False or raises a CloveError when it cannot."""


class Happening(Struct, frozen=True):
    """An event, shared by all subscribers that it reaches.

    @ivar data: JSON.
    @ivar at: second of the kernel's clock.
    @ivar timestamp: seconds since the epoch.
    """

    type: str
    data: Raw
    source_id: int
    at: float
    timestamp: float


_Numbered = tuple[int, Happening]

OVERHEAD = 256
"""Bytes charged for an event that waits, beside its data."""


ALARMS: Final = frozenset(("SYSCALL_BLOCKED", "AGENT_ESCALATED", "RESOURCE_WARNING"))
"""Types that no other type can push out: they report what an attacker would want to hide."""


class Subscriber:
    """Two bounded queues that drop their oldest: one for L{ALARMS}, one for the rest. For
    bytes the rest makes room first.

    @ivar types: what it wants.
    @ivar push: sends events at once, if it asked for that.
    """

    __slots__ = (
        "_alarms",
        "_dropped",
        "_family",
        "_max_bytes",
        "_news",
        "_number",
        "_shares",
        "_size",
        "push",
        "types",
    )

    def __init__(self, max_queue: int, max_bytes: int, shares: Shares, family: int) -> None:
        self._shares = shares
        self._family = family
        self.types: set[str] = set()
        self.push: Push | None = None
        self._news: deque[_Numbered] = deque(maxlen=max_queue)
        self._alarms: deque[_Numbered] = deque(maxlen=max_queue)
        self._number = 0
        self._max_bytes = max_bytes
        self._size = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._news) + len(self._alarms)

    def put(self, event: Happening) -> None:
        """Add an event; the oldest make room for it."""
        queue = self._alarms if event.type in ALARMS else self._news
        size = len(event.data)
        if len(queue) == queue.maxlen:
            self._drop(queue)
        while self._size + size > self._max_bytes and self._can_drop(queue):
            self._drop(self._news or queue)
        while self._shares.refusal(self._family, size + OVERHEAD) is not None:
            if not self._can_drop(queue):  # others of its family, or alarms, have it all
                self._dropped += 1
                return
            self._drop(self._news or queue)
        if self._size + size > self._max_bytes and queue is self._news and self._alarms:
            self._dropped += 1
            return
        self._number += 1
        queue.append((self._number, event))
        self._size += size
        self._shares.add(self._family, size + OVERHEAD)

    def _can_drop(self, queue: deque[_Numbered]) -> bool:
        return bool(self._news or queue)

    def _drop(self, queue: deque[_Numbered]) -> None:
        self._took(queue.popleft()[1])
        self._dropped += 1

    def _took(self, event: Happening) -> None:
        size = len(event.data)
        self._size -= size
        self._shares.give(self._family, size + OVERHEAD)

    def close(self) -> None:
        """Drop what waits."""
        for queue in (self._alarms, self._news):
            while queue:
                self._drop(queue)

    def take(self, most: int) -> tuple[list[Happening], int]:
        """Take out at most so many, oldest first; and how many were dropped since last time."""
        taken: list[Happening] = []
        news, alarms = self._news, self._alarms
        while len(taken) < most and (news or alarms):
            first = news if not alarms or (news and news[0][0] < alarms[0][0]) else alarms
            taken.append(first.popleft()[1])
            self._took(taken[-1])
        dropped, self._dropped = self._dropped, 0
        return taken, dropped
