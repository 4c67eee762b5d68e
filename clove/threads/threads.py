"""The kernel's bounded threads, for waits that have no asynchronous form, in turns.

Twisted's pool hands each function over by two locks and a condition in Python, under which the
reactor's thread often has to wait for the other one; here a queue in C does it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

import msgspec
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from clove.errors import CloveError, LimitExceeded
from clove.sharing.fair_queue import FairQueue, Path
from clove.sharing.shares import OPERATORS, ShareLimits

__all__ = ["ThreadLimits", "ThreadPool", "Threads", "to_the_end"]

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[[], object]
Tell = Callable[[Any], None]

_KERNEL: Final = (OPERATORS,)
"""The kernel's own work has turns of its own, and no bound but their number."""


class ThreadLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of what waits for a thread. Families take turns at the threads that `threads` gives,
    and in a family its agents, level by level; limits.shares says how many a family may have at once.
    """

    own: int = 4
    """Threads beside those, for the kernel's own work."""
    per_caller: int = 256
    """File operations and samples of one agent that wait; one more gets `limit_exceeded`."""
    per_family: int = 512
    """Of one family that wait; one more gets `limit_exceeded`."""


class ThreadPool:
    """So many threads; functions are called in the order in which they came.

    @param prepare: called first in each thread.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        size: int,
        name: str,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._prepare = prepare
        self._jobs: SimpleQueue[tuple[Work, Tell] | None] = SimpleQueue()
        self._waiting = [
            threading.Thread(target=self._serve, name=f"{name}-{number}") for number in range(size)
        ]
        self._started: list[threading.Thread] = []

    def start(self) -> None:
        """Start all threads.

        @raise RuntimeError: the operating system does not give so many.
        """
        while self._waiting:
            self._waiting[-1].start()
            self._started.append(self._waiting.pop())

    def stop(self) -> None:
        """Call what waits, and end the threads that were started."""
        for _ in self._started:
            self._jobs.put(None)
        for thread in self._started:
            thread.join()
        self._started.clear()

    def call(self, work: Work, tell: Tell) -> None:
        """Call `work` in a thread, and `tell` in the reactor's with its result or Failure."""
        self._jobs.put((work, tell))

    def _serve(self) -> None:
        self._prepare()
        while self._take(self._jobs.get()):
            """Nothing of a function is held while the thread waits for the next."""

    def _take(self, job: tuple[Work, Tell] | None) -> bool:
        if job is None:
            return False
        work, tell = job
        self._reactor.callFromThread(tell, _outcome(work))
        return True


def _outcome(work: Work) -> object:
    try:
        return work()
    except BaseException:
        return Failure()


class _Job:
    """One function, and what is called at its end.

    @ivar path: of the caller whose turn it takes.
    @ivar work: None once a thread has it.
    @ivar done: None once it was called, so that neither refers to the other.
    """

    __slots__ = ("done", "path", "work")

    def __init__(self, path: Path, work: Callable[[], object]) -> None:
        self.path = path
        self.work: Callable[[], object] | None = work
        self.done: Deferred[Any] | None = None


class _Workers:
    """Threads of the pool, and what is called in them next."""

    def __init__(self, pool: ThreadPool, queue: FairQueue[_Job]) -> None:
        self._pool = pool
        self.queue = queue

    def run(self, job: _Job) -> Deferred[Any]:
        """Have a job's function called in its turn.

        Cancelling the Deferred takes it out of the queue; where it runs already it runs on, and
        keeps its thread until its end.
        """
        done: Deferred[Any] = Deferred(functools.partial(self._cancel, job))
        job.done = done
        if self.queue.start(job):
            self._start(job)
        else:
            self.queue.add(job)
            self._start_next()
        return done

    def _cancel(self, job: _Job, _: Deferred[Any]) -> None:
        if job.work is not None:
            self.queue.withdraw(job)
            job.work = job.done = None

    def _start(self, job: _Job) -> None:
        work, job.work = job.work, None
        assert work is not None
        self._pool.call(work, functools.partial(self._ended, job))

    def _start_next(self) -> None:
        while (job := self.queue.next()) is not None:
            self._start(job)

    def _ended(self, job: _Job, result: object) -> None:
        self.queue.finish(job)
        done, job.done = job.done, None
        if done is not None and not done.called:
            done.callback(result)
        self._start_next()


class Threads:
    """Runs functions on threads: the kernel's own, or in turn those of a caller (L{of}).

    Callers wait for each other, but the kernel's own work for none of them.

    @param prepare: called first in each thread.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        size: int = 8,
        limits: ThreadLimits | None = None,
        shares: ShareLimits | None = None,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._limits = limits or ThreadLimits()
        most = size + self._limits.own
        # All from the start: later, agents may have all processes that Linux has to give.
        self._pool = ThreadPool(reactor, most, "clove", prepare)
        self._callers = _Workers(self._pool, FairQueue.shared(size, shares or ShareLimits()))
        self._workers = _Workers(self._pool, FairQueue(self._limits.own, self._limits.own))
        self._path: Path = _KERNEL
        self._bounded = False

    def of(self, path: Path, *, bounded: bool = True) -> Threads:
        """The same threads for a caller, in turn with all others.

        @param path: the caller's (L{clove.kernel.principal.Principal.path}).
        @param bounded: refuse what is too much to wait. False for what the kernel does on
            a caller's account, such as writing its log, and bounds itself.
        """
        theirs = object.__new__(Threads)
        theirs.__dict__.update(self.__dict__)
        theirs._workers = self._callers
        theirs._path = path
        theirs._bounded = bounded and path[0] != OPERATORS
        return theirs

    def start(self) -> None:
        """Start all threads.

        @raise RuntimeError: the operating system does not give so many.
        """
        self._pool.start()

    def stop(self) -> None:
        """Wait for running functions and end the threads."""
        self._pool.stop()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call the function in a thread.

        The Deferred fails with L{LimitExceeded} when many calls of the same caller, or of its
        family, wait already.
        """

        def work() -> T | CloveError:
            try:
                return function(*args, **kwargs)
            except CloveError as error:
                return _bare(error)

        try:
            self.check_room()
        except LimitExceeded as error:
            return fail(error)
        return self._workers.run(_Job(self._path, work)).addCallback(_raised)

    def check_room(self) -> None:
        """Whether one more may wait.

        @raise LimitExceeded: as L{run} has it.
        """
        queue, limits = self._workers.queue, self._limits
        if self._bounded and (
            queue.waiting_at(self._path) >= limits.per_caller
            or queue.waiting(self._path[:1]) >= limits.per_family
        ):
            raise LimitExceeded(
                "too many file operations of this agent, or of its family, wait already",
                hint="await answers before asking more (limits.threads)",
            )


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

    A thread cannot be stopped: what is cleared up after it must not be so beside it.
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
