"""How the loop learns which descriptors are ready: beyond what epoll has room for, again for a moment before it sleeps,
and in the order in which they are to be served.

What epoll(7) watches is counted for a user (`fs.epoll.max_user_watches`), over all of its
processes, and Linux has no smaller count for a process or a user namespace. So under a
rootless kernel any agent can use it up; then L{BeyondEpoll} watches by poll(2) what cannot be
added, which no count limits. It costs time for each descriptor so watched, and nothing before.

To wake a thread that sleeps in epoll_wait(2) takes longer than to answer most requests, 20 to 50 us,
and a client that waits for one reply before it asks anew has us sleep each time. So L{Spin} polls on, which
costs processor time, and pays only if the client runs meanwhile, on another processor. Whether it
does is not asked of the machine but seen: each time nothing came, more sleeps go by without a try.

epoll gives descriptors in the order in which they became ready, so a client that asks now and then comes behind all
connections of one that has many and asks without end: beside 64 of them its NOOP took 478 us, and 55 to 80 in peace.
By L{NewcomersFirst} those that were not ready in the turn before come first: then it took 106 to 237 us, the rest of the
turn that is under way when it asks. All are served in the same turn in any case, so none is kept waiting by others.
"""

from __future__ import annotations

import errno
import math
import os
import select
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = [
    "FEW",
    "MOST_SKIPPED",
    "BeyondEpoll",
    "NewcomersFirst",
    "Spin",
    "make_spin",
    "watch_beyond_epoll",
]

NO_ROOM: Final = (errno.ENOSPC, errno.ENOMEM)
MOST_SKIPPED: Final = 63
"""Sleeps without a try, at most, after tries in which nothing came."""
FEW: Final = 8
"""Descriptors for which the order does not matter."""

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


class Spin:
    """Stands in for a poller's C{poll}.

    @param poller: epoll, or what has its C{poll}.
    @param seconds: for which it polls before it sleeps.
    """

    def __init__(
        self, poller: Any, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._poller = poller
        self._seconds = seconds
        self._clock = clock
        self._missed = 0  # what to skip after the next miss
        self._skip = 0

    def poll(self, timeout: float, most: int) -> Ready:
        """As epoll's: what is ready, within so many seconds; negative: whenever it is."""
        poll = self._poller.poll
        if self._skip:
            self._skip -= timeout != 0
            return poll(timeout, most)  # type: ignore[no-any-return]
        ready: Ready = poll(0, most)
        if ready or timeout == 0:
            return ready
        clock = self._clock
        until = clock() + (min(timeout, self._seconds) if timeout > 0 else self._seconds)
        while clock() < until:
            ready = poll(0, most)
            if ready:
                self._missed = 0
                return ready
        self._missed = min(2 * self._missed + 1, MOST_SKIPPED)
        self._skip = self._missed
        return poll(timeout, most)  # type: ignore[no-any-return]


def make_spin(poller: Any, seconds: float) -> Any:
    """A poller that spins; the poller itself where it should not, or the machine has only one processor.

    On which of them this process may run is not asked: clients may have others.
    """
    if seconds <= 0 or (os.cpu_count() or 1) < 2:
        return poller
    return Spin(poller, seconds)


class NewcomersFirst:
    """Remembers which descriptors were ready in the turn before, if these were many."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: dict[int, int] = {}

    def arrange(self, ready: Ready) -> Ready:
        """What is ready, as (descriptor, event), in the order in which it is to be served."""
        if len(ready) <= FEW:
            self._before = {}
            return ready
        before, now = self._before, dict(ready)
        self._before = now
        if now.keys() <= before.keys():  # as in nearly all turns of a flood: looked at by C alone
            return ready
        first = [each for each in ready if each[0] not in before]
        if len(first) == len(ready):
            return ready
        return first + [each for each in ready if each[0] in before]
