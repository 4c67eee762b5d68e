"""Ended agents that WAIT and LOGS still know, within bounds. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent

__all__ = ["Remembered"]


class Remembered:
    """The agents that ended last, and the output of some of them.

    @param agents: how many are remembered; the oldest are forgotten.
    @param output: bytes of memory for the output of all of them together; the
        output of the oldest goes first.
    """

    def __init__(self, agents: int, output: int) -> None:
        self._most = agents
        self._room = output
        self._agents: OrderedDict[int, Agent] = OrderedDict()
        self._sizes: OrderedDict[int, int] = OrderedDict()

    def add(self, agent: Agent) -> None:
        """Remember an agent, whose output has ended."""
        self._agents[agent.agent_id] = agent
        size = self._sizes[agent.agent_id] = agent.logbook.memory
        self._room -= size
        while len(self._agents) > self._most:
            oldest, _ = self._agents.popitem(last=False)
            self._room += self._sizes.pop(oldest, 0)
        while self._room < 0:
            oldest, size = self._sizes.popitem(last=False)
            self._room += size
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
