"""Ended agents that WAIT, LOGS, INSPECT and LIST still know, within bounds. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from clove.kernel.eviction import Eviction
from clove.sharing.shares import ShareLimits, divide

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent

__all__ = ["EndedAgents"]


class EndedAgents:
    """The agents that ended last, and the output of some of them.

    A family past its share, or else the one that has most, loses its oldest: agents that end
    one after the other make the kernel forget none of another family.

    @param agents: how many are kept.
    @param output: bytes of memory for the output of all of them together.
    """

    def __init__(self, agents: int, output: int, shares: ShareLimits | None = None) -> None:
        shares = shares or ShareLimits()
        self._agents: OrderedDict[int, Agent] = OrderedDict()
        self._listed = Eviction[int](agents, divide(agents, shares, reserve=False)[1])
        per_family = divide(output, shares, memory=True, reserve=False)[1]
        self._outputs = Eviction[int](output, per_family)

    def add(self, agent: Agent) -> None:
        """Keep an agent, the output of which has ended."""
        family = agent.principal.family
        self._agents[agent.agent_id] = agent
        for oldest in self._listed.add(agent.agent_id, family, 1):
            del self._agents[oldest]
            self._outputs.remove(oldest)
        if agent.agent_id in self._agents:
            for oldest in self._outputs.add(agent.agent_id, family, agent.logbook.memory):
                self._agents[oldest].logbook.drop_lines()

    def remove(self, agent_id: int) -> None:
        """Forget one, if it is kept."""
        if self._agents.pop(agent_id, None) is not None:
            self._listed.remove(agent_id)
            self._outputs.remove(agent_id)

    def __iter__(self) -> Iterator[Agent]:
        return iter(list(self._agents.values()))

    def get(self, agent_id: int) -> Agent | None:
        """By id."""
        return self._agents.get(agent_id)

    def named(self, name: str | None) -> Agent | None:
        """By name, the latest that had it."""
        for agent in reversed(self._agents.values()):
            if agent.name == name:
                return agent
        return None
