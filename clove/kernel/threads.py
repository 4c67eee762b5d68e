"""The kernel's bounded thread pool, for waits that have no asynchronous form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from clove.errors import LimitExceeded

__all__ = ["Threads"]

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs functions on a pool of `size` threads, with `waiting` more queued at most."""

    def __init__(self, reactor: IReactorFromThreads, size: int = 8, waiting: int = 1024) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, size, "clove")
        self._slots = DeferredSemaphore(size)
        self._waiting = waiting

    def start(self) -> None:
        """Make the pool ready. Threads start when they are needed."""
        self._pool.start()

    def stop(self) -> None:
        """Wait for running functions and end the threads."""
        self._pool.stop()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call the function in a thread.

        The Deferred fails with L{LimitExceeded} when many calls wait already.
        """
        if len(self._slots.waiting) >= self._waiting:
            return fail(LimitExceeded("too many file operations wait; try again later"))

        def call() -> Deferred[Any]:
            return deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs)

        return self._slots.run(call)
