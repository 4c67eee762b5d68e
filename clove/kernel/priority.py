"""The kernel's part of the processors.

On a host without the cpu controller of cgroup v2 nothing weighs agents against the kernel. Where
Linux divides processors between sessions (sched(7), autogroup), every session has the same, and an
agent can make as many sessions as it may have processes: so the kernel, where it leads a session
(as a service, as a daemon and as process 1 it does), asks for more for its own. Only root is granted
that; agents and commands lead sessions of their own, which have the ordinary part.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["AUTOGROUP", "prefer_own_session"]

AUTOGROUP = "/proc/self/autogroup"
_NICE = b"-15"


def prefer_own_session(path: str = AUTOGROUP) -> bool:
    """Ask for a larger part of the processors; whether it was granted."""
    if os.getsid(0) != os.getpid():
        return False
    with contextlib.suppress(OSError):  # there is no such file, or we are not root
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            return os.write(descriptor, _NICE) > 0
        finally:
            os.close(descriptor)
    return False
