"""What a kernel must do as process 1 of a pid namespace, such as a container's first process.

Linux makes process 1 the parent of every process whose parent has ended, and only process 1
can reap those: until then each keeps its pid. A kernel that is not process 1 takes in the
orphans among its descendants as well (PR_SET_CHILD_SUBREAPER), so that every process of an
agent stays its descendant and can be told from the operator's
(L{clove.kernel.agents.ancestry}). Linux also drops every signal for which process 1 has no
handler, unless it is blocked (pid_namespaces(7), signal(7)); a kernel has its handlers when
its reactor runs.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from twisted.internet.process import reapAllProcesses, reapProcessHandlers

from clove.sandbox.inside import syscalls

__all__ = [
    "ENDING",
    "adopt_orphans",
    "hold_signals",
    "is_pid1",
    "reap_orphans",
    "release_signals",
]

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that end a kernel."""
PR_SET_CHILD_SUBREAPER: Final = 36
AT_ONCE: Final = 1000
"""Processes reaped in one call; more wait for the next call."""


def is_pid1() -> bool:
    """Whether this process is the first of its pid namespace."""
    return os.getpid() == 1


def hold_signals() -> None:
    """Block the signals that end a kernel, so that they stay pending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def release_signals() -> None:
    """Unblock them; those that are pending are delivered."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent ends (prctl(2), since Linux 3.4).

    A fork does not inherit it, so call it in the process that stays the kernel.
    """
    syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans() -> int:
    """Reap every child that has ended and that the reactor has not started.

    To be called in the reactor's thread: it starts all children, so none can be taken for an
    orphan.

    @return: how many.
    """
    reaped = 0
    for _ in range(AT_ONCE):
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            break
        if ended is None:
            break
        if ended.si_pid in reapProcessHandlers:
            reapAllProcesses()  # as on SIGCHLD, which is under way
        else:
            os.waitpid(ended.si_pid, 0)
            reaped += 1
    return reaped
