"""The reactor's loop: each turn polls, and serves the descriptors that are ready.

It differs from Twisted's own in six things. A turn serves few events, and epoll puts descriptors
that it has reported behind the others, since agents can make hundreds of their connections ready
at once. Those that were not ready in the turn before come first (L{NewcomersFirst}). The
L{Watchdog} times each turn, at the cost of reading the clock twice. An event for a
descriptor that was closed in the same turn is dropped; Twisted's loop hands it to the object that
has the number by then, so that a new agent's socket was shut because another connection had
ended. And descriptors are not named to Twisted's old log before they are served, which takes
longer than the kernel's own checks of a small request; what the kernel logs says itself where it
came from. Before it sleeps it may poll for a moment (L{clove.loop.polling.Spin}).

Private parts of Twisted's reactor are used here and in L{clove.loop.polling}, and nowhere else;
tests/unit/loop/test_loop.py tells when they change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from select import EPOLLIN
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from clove.loop.polling import NewcomersFirst, make_spin
from clove.loop.watchdog import NEVER

if TYPE_CHECKING:
    from clove.loop.watchdog import Watchdog

__all__ = ["EVENTS", "serve_in_turns"]

EVENTS: Final = 128
"""Descriptors that are served in one turn at most."""
_log = Logger()


def serve_in_turns(
    reactor: Any,
    watchdog: Watchdog,
    clock: Callable[[], float] = time.monotonic,
    most: int = EVENTS,
    spin: float = 0.0,
    serve_ready: Callable[..., None] | None = None,
) -> None:
    """Let Twisted's epoll reactor do so; any other is left as it is.

    @param clock: the watchdog's.
    @param most: descriptors that are served in one turn at most.
    @param spin: seconds for which it may poll before it sleeps.
    @param serve_ready: serves what is ready, as L{clove.kernel.compiled.Compiled} does.
    """
    if getattr(reactor, "_poller", None) is None:
        return
    poller, serve_all = make_spin(reactor._poller, spin), _server(reactor, serve_ready)
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
        serve_all(ready)

    reactor.doIteration = turn


def _server(
    reactor: Any, serve_ready: Callable[..., None] | None
) -> Callable[[list[tuple[int, int]]], None]:
    """What serves the descriptors that are ready."""
    selectables = reactor._selectables
    serve, end = reactor._doReadOrWrite, reactor._disconnectSelectable
    arrange = NewcomersFirst().arrange

    if serve_ready is not None:
        return lambda ready: serve_ready(arrange(ready), selectables, serve, end, _failed)

    of_number = selectables.get

    def serve_all(ready: list[tuple[int, int]]) -> None:
        events = [(of_number(fd), fd, event) for fd, event in arrange(ready)]
        for selectable, fd, event in events:
            # Serving an earlier event may have closed this descriptor, and another object may have
            # got its number: the event is not for that one.
            if selectable is None or of_number(fd) is not selectable:
                continue
            if event != EPOLLIN:
                serve(selectable, fd, event)
                continue
            try:
                why = selectable.doRead()
            except BaseException as error:
                why = _failed(error)
            if why:
                end(selectable, why, True)

    return serve_all


def _failed(error: BaseException) -> BaseException:
    """Say so, within its handler; why what could not be read is to be ended."""
    _log.failure("what became ready could not be read")
    return error
