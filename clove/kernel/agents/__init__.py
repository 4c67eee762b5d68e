"""Spawned agents: life cycle, restarts, places, output."""

from clove.kernel.agents.agent import Agent
from clove.kernel.agents.agents import Agents
from clove.kernel.agents.settings import AgentLimits

__all__ = ["Agent", "AgentLimits", "Agents"]
