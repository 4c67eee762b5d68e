"""Which agent a process belongs to, for connections on the main socket.

A process of an unsandboxed agent can reach it, one in a sandbox only if the operator granted a
directory with it. All processes of all agents descend from the kernel, for ever: Linux gives an
orphan to the nearest ancestor that takes orphans in (prctl(2), PR_SET_CHILD_SUBREAPER), and an
agent's helper, a sandbox's process 1 and at last the kernel itself do. So the walk from a process
up to the first of its pid namespace decides: if the kernel is not on it, the process is no
agent's, and nothing but that makes it one of the operator's. If the kernel is, it is the agent's
whose helper, process 1 or main program is on the way, or that of a command which an operator has
the kernel run (EXEC); any other process there belongs to an agent that starts, ends or has ended,
and is refused.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.peers import is_among_us, parent_of

if TYPE_CHECKING:
    from clove.kernel.agents.agent import Agent
    from clove.kernel.credentials import LocalPeer
    from clove.kernel.principal import Principal

__all__ = ["AgentFinder"]

_IN = (
    "connect from within the kernel's own user and pid namespaces (docker exec, nsenter), or set "
    "access.other_namespaces in the configuration"
)
ATTEMPTS = 2
"""Walks for one connection: processes end meanwhile."""


class AgentFinder:
    """Finds the agent of a process among those that live.

    @param records: the live agents.
    @param commands: pids of what runs for operators (L{Launcher.host_commands}).
    @param parent_of: a process's parent, 0 for none, None if it is gone.
    @param is_among_us: whether a process is in the kernel's own namespaces.
    @param other_namespaces: let processes in other ones connect as well (configuration).
    @param most: ancestors of a process that are looked at.
    @param kernel: the kernel's own pid.
    """

    def __init__(
        self,
        records: Callable[[], Iterable[Agent]],
        commands: Container[int] = (),
        *,
        parent_of: Callable[[int], int | None] = parent_of,
        is_among_us: Callable[[int], bool] = is_among_us,
        other_namespaces: bool = False,
        most: int = 64,
        kernel: int = 0,
    ) -> None:
        self._records = records
        self._commands = commands
        self._parent_of = parent_of
        self._is_among_us = is_among_us
        self._other_namespaces = other_namespaces
        self._most = most
        self._kernel = kernel or os.getpid()

    def of_process(self, peer: LocalPeer) -> Principal | None:
        """The agent's principal, or None for a process that is surely no agent's.

        @raise PermissionDenied: it cannot be told which agent it belongs to.
        @raise Unavailable: it may belong to an agent that just starts.
        """
        if peer.pid <= 0:  # in no pid namespace below the kernel's, and so none of its agents'
            if self._other_namespaces:
                return None
            raise _stranger("the process that connected is outside the kernel's pid namespace", _IN)
        for _ in range(ATTEMPTS):
            chain = self._chain(peer.pid)
            if chain is None:
                continue
            native = self._other_namespaces or self._is_among_us(peer.pid)
            if self._stands(chain) and peer.is_there():
                return self._belongs(chain, native)
        raise _stranger(
            "the process that connected, or one above it, has just ended or cannot be seen",
            "connect from the process that will use the connection; a /proc that is mounted "
            "with hidepid hides what the kernel must see",
        )

    def _chain(self, pid: int) -> list[int] | None:
        """A process, its parent, and so on; None: one of them is gone.

        @raise PermissionDenied: there are too many.
        """
        chain = [pid]
        while chain[-1] not in (1, self._kernel):
            if len(chain) > self._most:
                raise _stranger(
                    f"the process that connected has more than {self._most} ancestors",
                    "connect from a process that fewer others have started, or raise "
                    "limits.connection.max_ancestors",
                )
            parent = self._parent_of(chain[-1])
            if parent is None:
                return None
            if not parent:
                break
            chain.append(parent)
        return chain

    def _stands(self, chain: list[int]) -> bool:
        """Was each one the parent of the one before while both were looked at?

        Read again from the top down: a child whose parent is the same one as before has had
        it all the time, so that the parent's pid has meant that process all the time.
        """
        links = list(itertools.pairwise(chain))
        return all(self._parent_of(child) == parent for child, parent in reversed(links))

    def _belongs(self, chain: list[int], native: bool) -> Principal | None:
        if chain[-1] == self._kernel and len(chain) > 1:
            return self._below(chain[:-1])
        if not native:
            raise _stranger("the process that connected is in other namespaces", _IN)
        return None

    def _below(self, chain: list[int]) -> Principal | None:
        """The agent of a process that has the kernel for an ancestor."""
        live = list(self._records())
        owners = {pid: agent.principal for agent in live for pid in agent.processes}
        for pid in chain:
            if pid in owners:
                return owners[pid]
        if chain[-1] in self._commands:
            return None
        if any(not agent.processes for agent in live):
            raise Unavailable("an agent is starting or ending", hint="try again")
        raise _stranger(
            "the process that connected was started by an agent that has ended",
            "connect while the agent runs, by its own socket",
        )


def _stranger(what: str, hint: str) -> PermissionDenied:
    return PermissionDenied(what, rule="peer-process", hint=hint)
