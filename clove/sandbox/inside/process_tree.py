"""All processes of a sandbox, whichever way they can be found."""

from __future__ import annotations

import contextlib
import errno
import os
import signal

from clove.sandbox.inside import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class ProcessTree(Protocol):
        """All processes but init itself."""

        def signal(self, number: int) -> None:
            """Send a signal to all of them."""

        def kill(self) -> None:
            """Kill and reap all of them; returns when none is left."""

        def leave(self) -> None:
            """Init is about to end: let none outlive it."""


__all__ = ["Descendants", "Namespace"]

PR_SET_CHILD_SUBREAPER = 36
ROUNDS = 32
"""Times that a signal is sent anew to processes that were forked meanwhile."""


class Namespace:
    """All processes of the pid namespace that this is process 1 of.

    @raise OSError: it is not; outside, the signals would reach all that its user runs.
    """

    def __init__(self) -> None:
        if os.getpid() != 1:
            raise OSError(errno.ESRCH, "not process 1 of a pid namespace")

    def signal(self, number: int) -> None:
        """One system call, so that no fork escapes it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)

    def kill(self) -> None:
        """Kill all; orphans are this process's children and are reaped."""
        self.signal(signal.SIGKILL)
        _reap_all()

    def leave(self) -> None:
        """Linux kills all of them when process 1 has ended, those that it may not signal included."""


class Descendants:
    """All descendants of this process, which adopts their orphans (subreaper).

    Without a pid namespace it is the best there is: a process that the kernel
    lets change its parent (by ptrace or a helper outside) can leave.
    """

    def __init__(self) -> None:
        syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1)

    def signal(self, number: int) -> None:
        """Signal those that have not had it until no new one is found."""
        done: set[int] = set()
        for _ in range(ROUNDS):
            found = descendants(os.getpid()) - done
            if not found:
                return
            for pid in found:
                _kill(pid, number)
            done |= found

    def kill(self) -> None:
        """Kill and reap until there is no child left, and so no descendant."""
        while True:
            for pid in descendants(os.getpid()):
                _kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return
            while True:
                try:
                    pid, _ = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    break
                if pid == 0:
                    break

    def leave(self) -> None:
        """Kill all of them."""
        self.kill()


def descendants(ancestor: int) -> set[int]:
    """Pids of all processes below one, by /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            text = os.read(stat, 1024)
        except OSError:
            continue
        finally:
            os.close(stat)
        parent = int(text.rpartition(b")")[2].split()[1])
        children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    unseen = [ancestor]
    while unseen:
        for pid in children.get(unseen.pop(), ()):
            if pid not in found:
                found.add(pid)
                unseen.append(pid)
    return found


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):  # gone, or it runs a set-uid program
        os.kill(pid, number)


def _reap_all() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
