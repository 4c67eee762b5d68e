"""Which agent a process belongs to, for connections on the main socket.

A process of an unsandboxed agent can reach it, one in a sandbox only if the
operator granted a directory with it. It is known by its ancestors or by its
session (proc(5), /proc/PID/stat): all of an agent's processes descend from its
helper, which is a child of the kernel and takes in those whose parents have
died (prctl(2), subreaper; in a sandbox process 1 does). One that has killed its
helper is not recognised: an unsandboxed agent is not contained, see
docs/security.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from clove.errors import PermissionDenied, Unavailable

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent
    from clove.kernel.principal import Principal

__all__ = ["AgentFinder"]

DEPTH = 64
"""Ancestors looked at."""


def _parent_and_session(pid: int) -> tuple[int, int] | None:
    """Parent's pid and session id of a process, or None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[1]), int(fields[3])
    except (OSError, IndexError, ValueError):
        return None


class AgentFinder:
    """Finds the agent of a process among those that live.

    @param look: gives a process's parent and session, None if it is gone.
    """

    def __init__(
        self,
        records: Callable[[], Iterable[Agent]],
        look: Callable[[int], tuple[int, int] | None] = _parent_and_session,
    ) -> None:
        self._records = records
        self._look = look

    def of_process(self, pid: int) -> Principal | None:
        """The agent's principal, or None for a process of nobody's.

        @param pid: 0 for one outside of the kernel's pid namespace.
        @raise PermissionDenied: it has ended, so nobody can say whose it was.
        @raise Unavailable: it may belong to an agent that just starts or ends.
        """
        live = list(self._records())
        if not live or not pid:
            return None
        agents = {agent.pid: agent.principal for agent in live if agent.pid}
        kernel = os.getpid()
        for _ in range(DEPTH):
            if pid in agents:
                return agents[pid]
            found = self._look(pid)
            if found is None:
                raise PermissionDenied(
                    "the process that connected, or one above it, has just ended",
                    rule="peer-process",
                    hint="connect from the process that will use the connection",
                )
            parent, session = found
            if session in agents:
                return agents[session]
            if parent == kernel:
                return self._of_helper(pid, live)
            if parent <= 1:
                return None
            pid = parent
        return None

    def _of_helper(self, helper: int, live: list[Agent]) -> Principal | None:
        """Whose helper this child of the kernel is; None if no agent's."""
        doubtful = False
        for agent in live:
            found = self._look(agent.pid) if agent.pid else None
            above = self._look(found[0]) if found is not None else None  # of a sandbox's init
            if found is not None and helper in (found[0], above[0] if above is not None else 0):
                return agent.principal
            doubtful = doubtful or (found is None and agent.state != "restarting")
        if doubtful:
            raise Unavailable("an agent is starting or ending", hint="try again")
        return None
