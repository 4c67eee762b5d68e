"""What waits for the model: families take turns, and in a family its agents. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from clove.errors import LimitExceeded
from clove.kernel import turns
from clove.kernel.llm.settings import LLMLimits
from clove.kernel.shares import ShareLimits, Shares

__all__ = ["FairQueue", "Waiting"]


class Waiting(turns.Waiting, Protocol):
    """What can wait.

    @ivar size: bytes that it holds while it waits.
    """

    size: int


W = TypeVar("W", bound=Waiting)


class FairQueue(Generic[W]):
    """One line for each agent; the agent and the family that were served go to the back."""

    def __init__(self, limits: LLMLimits, shares: ShareLimits | None = None) -> None:
        self._limits = limits
        self._lines: turns.Lines[W] = turns.Lines()
        self._places = Shares(
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
        return len(self._lines)

    def push(self, item: W) -> None:
        """Let an item wait at the end of its agent's line.

        @raise LimitExceeded: the line, the family's share or the whole queue is full.
        """
        most = self._limits.max_waiting_per_agent
        if self._lines.of(item.family, item.caller) >= most:
            raise LimitExceeded(
                f"{most} questions of this agent wait already",
                hint="await answers before asking more (llm.limits.max_waiting_per_agent)",
            )
        refusal = self._bytes.refusal(item.family, item.size)
        if refusal is not None:
            raise refusal
        self._places.take(item.family)
        self._bytes.add(item.family, item.size)
        self._lines.add(item)

    def pop(self, family_may: Callable[[int], bool], may: Callable[[W], bool]) -> W | None:
        """Take out the next item that may go; whose first may not is passed over.

        @param family_may: asked at most once for each family.
        @param may: asked at most once for each agent, about its first item.
        """
        item = self._lines.take(family_may, may)
        if item is not None:
            self._left(item)
        return item

    def remove(self, item: W) -> bool:
        """Take an item out of the middle; False if it does not wait."""
        if not self._lines.remove(item):
            return False
        self._left(item)
        return True

    def all(self) -> list[W]:
        """Everything that waits, in no order that means anything."""
        return list(self._lines)

    def _left(self, item: W) -> None:
        self._places.give(item.family)
        self._bytes.give(item.family, item.size)
