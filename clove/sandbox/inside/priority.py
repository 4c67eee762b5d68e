"""The kernel's part of the processors, and that of sandboxes in the making.

On a host without the cpu controller of cgroup v2 nothing weighs agents against the kernel. Where
Linux divides processors between sessions (sched(7), autogroup), every session has the same, and an
agent can make as many sessions as it may have processes: so the kernel, where it leads a session
(as a service, as a daemon and as process 1 it does), asks for more for its own. So do the zygote and
the helper for theirs where the kernel has more, since a sandbox is set up in one of these: 20 ms of
work, which else wait a second or two among busy agents. A kernel in a session of others has no more
than these, and must not come after what it has started. Only root is granted that; agents and
commands lead sessions of their own, which have the ordinary part.
"""

from __future__ import annotations

import os

__all__ = ["AUTOGROUP", "is_preferred", "prefer_as_parent", "prefer_own_session"]

AUTOGROUP = "/proc/self/autogroup"
_NICE = b"-20"


def prefer_own_session(path: str = AUTOGROUP) -> bool:
    """Ask for a larger part of the processors; whether it was granted."""
    if os.getsid(0) != os.getpid():
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            return os.write(descriptor, _NICE) > 0
        finally:
            os.close(descriptor)
    except OSError:  # there is no such file, or we are not root
        return False


def is_preferred(path: str = AUTOGROUP) -> bool:
    """Whether a session has that larger part."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 100).endswith(b"nice %b\n" % _NICE)
        finally:
            os.close(descriptor)
    except OSError:
        return False


def prefer_as_parent() -> bool:
    """Ask for it if the session of the parent process has it; whether it was granted."""
    return is_preferred(f"/proc/{os.getppid()}/autogroup") and prefer_own_session()
