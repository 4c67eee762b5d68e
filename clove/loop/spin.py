"""Polls again for a moment before it sleeps, where the next event is likely to come within that moment.

To wake a thread that sleeps in epoll_wait(2) takes longer than to answer most requests, 20 to 50 us,
and a client that waits for one reply before it asks anew has us sleep each time. To poll on instead
costs processor time, and pays only if the client runs meanwhile, on another processor. Whether it
does is not asked of the machine but seen: each time nothing came, more sleeps go by without a try.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["MOST_SKIPPED", "Spin", "make_spin"]

MOST_SKIPPED: Final = 63
"""Sleeps without a try, at most, after tries in which nothing came."""

Ready = list[tuple[int, int]]


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
