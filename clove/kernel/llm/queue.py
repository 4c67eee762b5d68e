"""What waits for the model: a fair queue with bounds on what it holds. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from clove.errors import LimitExceeded
from clove.kernel.llm.settings import LLMLimits
from clove.sharing import fair_queue
from clove.sharing.fair_queue import FairQueue
from clove.sharing.shares import ShareLimits, Shares

__all__ = ["BoundedQueue", "Queued"]


class Queued(fair_queue.Queued, Protocol):
    """What can wait.

    @ivar size: bytes that it holds while it waits.
    """

    size: int


Q = TypeVar("Q", bound=Queued)


class BoundedQueue(Generic[Q]):
    """A L{FairQueue} that refuses what is too much to wait: for an agent, a family, or all."""

    def __init__(self, limits: LLMLimits, shares: ShareLimits | None = None) -> None:
        shares = shares or ShareLimits()
        self._most = limits.max_waiting_per_agent
        self._queue: FairQueue[Q] = FairQueue.shared(limits.max_concurrent, shares)
        self._slots = Shares(
            "questions waiting", "llm.limits.max_waiting", limits.max_waiting, shares
        )
        self._bytes = Shares(
            "bytes of questions waiting",
            "llm.limits.max_waiting_bytes",
            limits.max_waiting_bytes,
            shares,
            memory=True,
        )

    @property
    def size(self) -> int:
        """Bytes of all items that wait."""
        return self._bytes.used

    def __len__(self) -> int:
        return len(self._queue)

    def waiting(self) -> list[Q]:
        """Everything that waits, in no order that means anything."""
        return list(self._queue)

    def add(self, item: Q) -> None:
        """Let an item wait behind all others of its agent.

        @raise LimitExceeded: too much of the agent, of its family or of all waits.
        """
        family = item.path[0]
        if self._queue.waiting_at(item.path) >= self._most:
            raise LimitExceeded(
                f"{self._most} questions of this agent wait already",
                hint="await answers before asking more (llm.limits.max_waiting_per_agent)",
            )
        refusal = self._bytes.refusal(family, item.size)
        if refusal is not None:
            raise refusal
        self._slots.take(family)
        self._bytes.add(family, item.size)
        self._queue.add(item)

    def next(self, may: Callable[[Q], bool]) -> Q | None:
        """Take the next item in turn into service; see L{FairQueue.next}."""
        item = self._queue.next(may)
        if item is not None:
            self._give_back(item)
        return item

    def withdraw(self, item: Q) -> bool:
        """Take out an item that waits; False if it does not."""
        if not self._queue.withdraw(item):
            return False
        self._give_back(item)
        return True

    def finish(self, item: Q) -> None:
        """An item's service is over."""
        self._queue.finish(item)

    def _give_back(self, item: Q) -> None:
        self._slots.give(item.path[0])
        self._bytes.give(item.path[0], item.size)
