"""Which agent a process belongs to, for connections on the main socket.

A sandboxed agent cannot reach the main socket. A process of an unsandboxed one
can, and is known by its session, which the launcher made, or by an ancestor
(proc(5), /proc/PID/stat). One that hides by a new session under a dead parent
is not recognised: an unsandboxed agent is not contained, see docs/security.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent
    from clove.kernel.principal import Principal

__all__ = ["AgentFinder"]

DEPTH = 64
"""Ancestors looked at."""


def _parent_and_session(pid: int) -> tuple[int, int]:
    """Parent's pid and session id of a process, or (0, 0) if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[1]), int(fields[3])
    except (OSError, IndexError, ValueError):
        return 0, 0


class AgentFinder:
    """Finds the agent of a process among those that live."""

    def __init__(self, records: Callable[[], Iterable[Agent]]) -> None:
        self._records = records

    def of_process(self, pid: int) -> Principal | None:
        """The agent's principal, or None for a process of nobody's."""
        agents = {agent.pid: agent.principal for agent in self._records() if agent.pid}
        if not agents:
            return None
        for _ in range(DEPTH):
            if pid <= 1:
                return None
            if pid in agents:
                return agents[pid]
            pid, session = _parent_and_session(pid)
            if session in agents:
                return agents[session]
        return None
