"""How many descriptors the kernel's process and those of agents may have (getrlimit(2)).

Linux counts descriptors in transit in Unix sockets for each user, over all of the user's
processes, and sendmsg(2) fails where there are more than the sender's own RLIMIT_NOFILE
(unix(7), ETOOMANYREFS). The agents of a rootless kernel share one user with it. So their limit
is well below the kernel's, and below that of process 1 of each sandbox, which passes
descriptors for the requests of all.
"""

from __future__ import annotations

import contextlib
import resource

import msgspec

from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.launch.limits import AgentLimits
from clove.sandbox.inside.rlimits import NO_CORE

__all__ = [
    "WANTED",
    "agents_within",
    "let_cores_be_off",
    "raise_descriptors",
    "within_descriptors",
]

KEPT = 64
"""Descriptors that connections leave to everything else, at least; else a quarter."""

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


def within_descriptors(limits: ConnectionLimits, descriptors: int) -> ConnectionLimits:
    """No more connections than leave some descriptors for files, programs and agents. Pure.

    @param descriptors: that this process may have.
    """
    room = max(1, descriptors - max(KEPT, descriptors // 4))
    return msgspec.structs.replace(limits, max_connections=min(limits.max_connections, room))


def raise_descriptors(wanted: int) -> int:
    """Let this process have so many descriptors if it may; gives how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < wanted:
        soft = wanted if hard == unlimited else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == unlimited else soft
