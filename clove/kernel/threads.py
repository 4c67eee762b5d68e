"""The kernel's bounded thread pool, for waits that have no asynchronous form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from clove.errors import LimitExceeded

__all__ = ["Threads", "to_the_end"]

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


async def to_the_end(work: Deferred[T]) -> T:
    """Wait for what must not be left half-way; a cancellation is raised when it is over.

    A thread cannot be stopped: who clears up after it must not do so beside it.
    """
    outcome: list[T | Failure] = []
    waiting: list[Deferred[None]] = []

    def keep(result: T | Failure) -> None:
        outcome.append(result)
        for waiter in waiting:
            waiter.callback(None)

    work.addBoth(keep)
    cancelled: CancelledError | None = None
    while not outcome:
        waiting[:] = [Deferred()]
        try:
            await waiting[0]
        except CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    [result] = outcome
    if isinstance(result, Failure):
        result.raiseException()
    return result
