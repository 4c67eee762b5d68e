"""Ended agents that WAIT and LOGS still know, within bounds. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from clove.kernel.shares import ShareLimits, divide

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent

__all__ = ["Remembered"]


class Remembered:
    """The agents that ended last, and the output of some of them.

    A family past its share, or else the one that has most, loses its oldest: agents that end
    one after the other make the kernel forget none of another family.

    @param agents: how many are remembered.
    @param output: bytes of memory for the output of all of them together.
    """

    def __init__(self, agents: int, output: int, shares: ShareLimits | None = None) -> None:
        shares = shares or ShareLimits()
        self._agents: OrderedDict[int, Agent] = OrderedDict()
        self._listed = _Room(agents, divide(agents, shares, reserve=False)[1])
        per_family = divide(output, shares, memory=True, reserve=False)[1]
        self._outputs = _Room(output, per_family)

    def add(self, agent: Agent) -> None:
        """Remember an agent, whose output has ended."""
        family = agent.principal.family
        self._agents[agent.agent_id] = agent
        for oldest in self._listed.add(agent.agent_id, family, 1):
            del self._agents[oldest]
            self._outputs.remove(oldest)
        if agent.agent_id in self._agents:
            for oldest in self._outputs.add(agent.agent_id, family, agent.logbook.memory):
                self._agents[oldest].logbook.forget()

    def get(self, agent_id: int) -> Agent | None:
        """By id."""
        return self._agents.get(agent_id)

    def named(self, name: str | None) -> Agent | None:
        """By name, the latest that had it."""
        for agent in reversed(self._agents.values()):
            if agent.name == name:
                return agent
        return None


class _Room:
    """Sizes of things, by family, the oldest first; tells what must go."""

    def __init__(self, total: int, per_family: int) -> None:
        self._total = total
        self._per_family = per_family
        self._sizes: dict[int, OrderedDict[int, int]] = {}
        self._family: dict[int, int] = {}
        self._of: Counter[int] = Counter()
        self._used = 0

    def add(self, number: int, family: int, size: int) -> list[int]:
        """Keep one more; gives those that make room for it, which are kept no longer."""
        self._sizes.setdefault(family, OrderedDict())[number] = size
        self._family[number] = family
        self._of[family] += size
        self._used += size
        gone: list[int] = []
        while self._of[family] > self._per_family:
            gone.append(self._drop_oldest(family))
        while self._used > self._total:
            gone.append(self._drop_oldest(max(self._of, key=self._of.__getitem__)))
        return gone

    def _drop_oldest(self, family: int) -> int:
        oldest = next(iter(self._sizes[family]))
        self.remove(oldest)
        return oldest

    def remove(self, number: int) -> None:
        """Keep one no longer, if it is kept."""
        family = self._family.pop(number, None)
        if family is None:
            return
        sizes = self._sizes[family]
        size = sizes.pop(number)
        self._used -= size
        self._of[family] -= size
        if not sizes:
            del self._sizes[family], self._of[family]
