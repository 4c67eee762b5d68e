"""The reactor's loop: each turn polls, and serves the descriptors that are ready.

It differs from Twisted's own in four things. A turn serves few events, and epoll puts descriptors
that it has reported behind the others, since agents can make hundreds of their connections ready
at once. The L{Watchdog} times each turn, at the cost of reading the clock twice. An event for a
descriptor that was closed in the same turn is dropped; Twisted's loop hands it to the object that
has the number by then, so that a new agent's socket was shut because another connection had
ended. And descriptors are not named to Twisted's old log before they are served, which takes
longer than the kernel's own checks of a small request; what the kernel logs says itself where it
came from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from clove.loop.watchdog import NEVER

if TYPE_CHECKING:
    from clove.loop.watchdog import Watchdog

__all__ = ["EVENTS", "serve_in_turns"]

EVENTS: Final = 64
"""Descriptors that are served in one turn at most."""


def serve_in_turns(
    reactor: Any,
    watchdog: Watchdog,
    clock: Callable[[], float] = time.monotonic,
    most: int = EVENTS,
) -> None:
    """Let Twisted's epoll reactor do so; any other is left as it is.

    @param clock: the watchdog's.
    @param most: descriptors that are served in one turn at most.
    """
    if getattr(reactor, "_poller", None) is None:
        return
    poller, selectables, serve = reactor._poller, reactor._selectables, reactor._doReadOrWrite
    may_last, may_be_old = watchdog.may_last, watchdog.may_be_old

    def turn(timeout: float | None) -> None:
        now = clock()
        if now - watchdog.begun > may_last:
            watchdog.judge(now)
        watchdog.begun = NEVER
        ready = poller.poll(-1 if timeout is None else timeout, most)
        watchdog.begun = now = clock()
        if now - watchdog.refreshed > may_be_old:
            watchdog.refresh(now)
        events = [(selectables.get(fd), fd, event) for fd, event in ready]
        for selectable, fd, event in events:
            # Serving an earlier event may have closed this descriptor, and another object may have
            # got its number: the event is not for that one.
            if selectable is not None and selectables.get(fd) is selectable:
                serve(selectable, fd, event)

    reactor.doIteration = turn
