"""Whose turn it is: first come first served for each agent, round robin between agents. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from clove.errors import LimitExceeded
from clove.kernel.llm.settings import LLMLimits

__all__ = ["FairQueue", "Waiting"]


class Waiting(Protocol):
    """What can wait.

    @ivar agent_id: in whose line it stands.
    @ivar size: bytes that it holds while it waits.
    """

    agent_id: int
    size: int


W = TypeVar("W", bound=Waiting)


class FairQueue(Generic[W]):
    """One line for each agent; the agent that was served goes to the back.

    @ivar waiting: how many items wait in all.
    @ivar size: their bytes.
    """

    def __init__(self, limits: LLMLimits) -> None:
        self._limits = limits
        self._lines: OrderedDict[int, deque[W]] = OrderedDict()
        self.waiting = 0
        self.size = 0

    def __len__(self) -> int:
        return self.waiting

    def of(self, agent_id: int) -> int:
        """How many items of an agent wait."""
        return len(self._lines.get(agent_id, ()))

    def push(self, item: W) -> None:
        """Let an item wait at the end of its agent's line.

        @raise LimitExceeded: the line, or the whole queue, is full.
        """
        limits = self._limits
        if self.of(item.agent_id) >= limits.max_waiting_per_agent:
            raise LimitExceeded(
                f"{limits.max_waiting_per_agent} questions of this agent wait already",
                hint="await answers before asking more (llm.limits.max_waiting_per_agent)",
            )
        if self.waiting >= limits.max_waiting or self.size + item.size > limits.max_waiting_bytes:
            raise LimitExceeded(
                "too many questions of all agents wait already",
                hint="try again later (llm.limits.max_waiting, max_waiting_bytes)",
            )
        self._lines.setdefault(item.agent_id, deque()).append(item)
        self.waiting += 1
        self.size += item.size

    def pop(self, may: Callable[[W], bool]) -> W | None:
        """Take out the next item that may go; an agent whose first may not is passed over.

        @param may: asked at most once for each agent, about its first item.
        """
        for agent_id, items in self._lines.items():
            if may(items[0]):
                item = items[0]
                self._lines.move_to_end(agent_id)
                self._take(item, 0)
                return item
        return None

    def remove(self, item: W) -> bool:
        """Take an item out of the middle; False if it does not wait."""
        for index, other in enumerate(self._lines.get(item.agent_id, ())):
            if other is item:
                self._take(item, index)
                return True
        return False

    def all(self) -> list[W]:
        """Everything that waits, in no order that means anything."""
        return [item for items in self._lines.values() for item in items]

    def _take(self, item: W, index: int) -> None:
        items = self._lines[item.agent_id]
        del items[index]
        if not items:
            del self._lines[item.agent_id]
        self.waiting -= 1
        self.size -= item.size
