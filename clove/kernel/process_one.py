"""What a kernel must do as process 1 of a pid namespace, such as a container's first process.

Linux gives process 1 the children of everybody whose parent has died, and only it can
bury them: till then each keeps its pid. A kernel that is not process 1 takes in the orphans
below it all the same, so that every process of an agent descends from it for ever: by that
it is told from the operator's (L{clove.kernel.agents.ancestry}). And Linux drops every signal for which process 1
has no handler, unless it is blocked (pid_namespaces(7), signal(7)); a kernel has its
handlers when its reactor runs.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from twisted.internet.process import reapAllProcesses, reapProcessHandlers

from clove.sandbox import syscalls

__all__ = [
    "ENDING",
    "adopt_orphans",
    "bury_orphans",
    "hold_signals",
    "is_process_one",
    "release_signals",
]

ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals that end a kernel."""
PR_SET_CHILD_SUBREAPER: Final = 36
AT_ONCE: Final = 1000
"""Processes buried in one go; more wait for the next."""


def is_process_one() -> bool:
    """Whether this process is the first of its pid namespace."""
    return os.getpid() == 1


def hold_signals() -> None:
    """Let the signals that end a kernel wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def release_signals() -> None:
    """Take them, and those that have waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose parent dies (prctl(2), since Linux 3.4).

    A fork does not inherit it: to be called when this process is the kernel for good.
    """
    syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1)


def bury_orphans() -> int:
    """Reap every child that has ended and that the reactor has not started.

    To be called in the reactor's thread, which starts all children, so that each of its
    own is known here.

    @return: how many.
    """
    buried = 0
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
            buried += 1
    return buried
