"""A reactor that goes on watching when epoll has no room.

What epoll(7) watches is counted for a user (`fs.epoll.max_user_watches`), over all of its
processes, and Linux has no smaller count for a process or a user namespace. So under a
rootless kernel any agent can use it up; then the kernel watches by poll(2) what it cannot
add, which no count limits. It costs time for each descriptor so watched, and nothing before.
"""

from __future__ import annotations

import errno
import math
import select
from collections.abc import Callable
from typing import Any, Final

__all__ = ["BeyondEpoll", "watch_beyond_epoll"]

NO_ROOM: Final = (errno.ENOSPC, errno.ENOMEM)
Ready = list[tuple[int, int]]


class BeyondEpoll:
    """An epoll object's methods, as the reactor uses them (event bits are the same for poll).

    @param epoll: what watches as long as it can.
    @ivar beyond: descriptors that poll(2) watches.
    """

    def __init__(self, epoll: Any) -> None:
        self.beyond: set[int] = set()
        self._epoll = epoll
        self._others = select.poll()
        self._others.register(epoll.fileno(), select.POLLIN)
        self.close: Callable[[], None] = epoll.close
        self.fileno: Callable[[], int] = epoll.fileno
        self.poll: Callable[..., Ready] = epoll.poll
        self.modify: Callable[[int, int], None] = epoll.modify
        self.unregister: Callable[[int], None] = epoll.unregister

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor.

        @raise OSError: epoll_ctl(2) refuses it for another reason than its count.
        """
        self._forget(fd)  # it was closed without a word, and its number is used again
        try:
            self._epoll.register(fd, events)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._others.register(fd, events)
            self.beyond.add(fd)
            self.poll, self.modify = self._poll, self._modify
            self.unregister = self._unregister

    def _modify(self, fd: int, events: int) -> None:
        if fd in self.beyond:
            self._others.modify(fd, events)
        else:
            self._epoll.modify(fd, events)

    def _unregister(self, fd: int) -> None:
        if not self._forget(fd):
            self._epoll.unregister(fd)

    def _forget(self, fd: int) -> bool:
        """Stop watching a descriptor with poll(2); false: it was not watched."""
        if fd not in self.beyond:
            return False
        self._others.unregister(fd)
        self.beyond.discard(fd)
        if not self.beyond:
            self.poll, self.modify = self._epoll.poll, self._epoll.modify
            self.unregister = self._epoll.unregister
        return True

    def _poll(self, timeout: float = -1, maxevents: int = -1) -> Ready:
        """What poll has, and so many of epoll's, after at most so many seconds; negative: wait."""
        ready = self._others.poll(None if timeout < 0 else math.ceil(timeout * 1000))
        found: Ready = []
        for fd, events in ready:
            if fd not in self.beyond:
                found += self._epoll.poll(0, maxevents)
            elif events & select.POLLNVAL:  # closed without a word
                self._forget(fd)
            else:
                found.append((fd, events))
        return found


def watch_beyond_epoll(reactor: Any) -> None:
    """Let Twisted's epoll reactor do so; any other is left as it is."""
    poller = getattr(reactor, "_poller", None)
    if isinstance(poller, select.epoll):
        reactor._poller = BeyondEpoll(poller)
