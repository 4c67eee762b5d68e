"""How many descriptors the kernel's process and those of agents may have (getrlimit(2)).

Descriptors that are on their way in Unix sockets are counted for a user, over all of its
processes, and sendmsg(2) fails where there are more than the sender's own RLIMIT_NOFILE
(unix(7), ETOOMANYREFS). Under a rootless kernel all agents are one user with it. So theirs
is well below the kernel's, and that of process 1 of each sandbox, which pass descriptors
for everybody's requests.
"""

from __future__ import annotations

import contextlib
import resource

import msgspec

from clove.kernel.agents.settings import AgentLimits
from clove.sandbox.rlimits import NO_CORE

__all__ = ["WANTED", "agents_within", "let_cores_be_off"]

WANTED = 1 << 16
"""Descriptors that the kernel's process asks for. A sender is judged before its message is
counted, which may bring 253 (SCM_MAX_FD): many at the same moment pass by their limit."""


def agents_within(bounds: AgentLimits, descriptors: int) -> AgentLimits:
    """No more descriptors for agents than half of the kernel's. Pure.

    @param descriptors: that the kernel's process may have.
    """
    return msgspec.structs.replace(bounds, descriptors=min(bounds.descriptors, descriptors // 2))


def let_cores_be_off() -> None:
    """Make room for L{NO_CORE} in children, where this process may raise its limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (soft, NO_CORE))
