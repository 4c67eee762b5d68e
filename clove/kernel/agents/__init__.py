"""Spawned agents: their life, restarts and end, and those that have ended."""

from clove.kernel.agents.agent import Agent
from clove.kernel.agents.agents import Agents

__all__ = ["Agent", "Agents"]
