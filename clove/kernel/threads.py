"""The kernel's bounded thread pool, for waits that have no asynchronous form."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from clove.errors import CloveError, LimitExceeded

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

        def work() -> T | CloveError:
            try:
                return function(*args, **kwargs)
            except CloveError as error:
                return _bare(error)

        def call() -> Deferred[T | CloveError]:
            return deferToThreadPool(self._reactor, self._pool, work)

        return self._slots.run(call).addCallback(_raised)


def _bare(error: CloveError) -> CloveError:
    """An expected error without its traceback.

    That holds what was read and made on the way to the error, perhaps megabytes;
    on its way through the coroutines that wait it would become part of a cycle,
    and hold it until a garbage collection.
    """
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _raised(result: T | CloveError) -> T:
    if isinstance(result, CloveError):
        raise result
    return result


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
