"""The kernel's bounded thread pool, for waits that have no asynchronous form."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

import msgspec
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from clove.errors import CloveError, LimitExceeded
from clove.kernel.shares import OPERATORS, ShareLimits
from clove.kernel.turns import Turn, Turns

__all__ = ["ThreadLimits", "Threads", "to_the_end"]

P = ParamSpec("P")
T = TypeVar("T")

_KERNEL: Final = OPERATORS
"""The kernel's own work has turns of its own, and no bound but their number."""


class ThreadLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of what waits for a thread. Families take turns at the threads that `threads` gives,
    and in a family its agents; limits.shares says how many a family may have at once.
    """

    own: int = 4
    """Threads beside those, for the kernel's own work."""
    per_caller: int = 256
    """File operations and samples of one agent that wait; one more gets `limit_exceeded`."""
    per_family: int = 512
    """Of one family that wait; one more gets `limit_exceeded`."""


class _Job:
    """One function with what is told of its end."""

    __slots__ = ("done", "work")

    def __init__(self, work: Callable[[], object], done: Deferred[Any]) -> None:
        self.work = work
        self.done = done


class _Lane:
    """Threads of the pool, and whose turn is next."""

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool, turns: Turns) -> None:
        self._reactor = reactor
        self._pool = pool
        self.turns = turns
        self._jobs: dict[Turn, _Job] = {}

    def run(self, turn: Turn, work: Callable[[], object]) -> Deferred[Any]:
        """Have a function called in its turn.

        Cancelling the Deferred takes it out of the line; where it runs already it runs on, and
        keeps its thread until its end.
        """
        done: Deferred[Any] = Deferred(lambda _: self._give_up(turn))
        self._jobs[turn] = _Job(work, done)
        self.turns.wait(turn)
        self._call()
        return done

    def _give_up(self, turn: Turn) -> None:
        if self._jobs[turn].work is not _begun:
            del self._jobs[turn]
            self.turns.leave(turn)

    def _call(self) -> None:
        while (turn := self.turns.next()) is not None:
            job = self._jobs[turn]
            work, job.work = job.work, _begun
            self._pool.callInThreadWithCallback(self._ended(turn), work)

    def _ended(self, turn: Turn) -> Callable[[bool, object], None]:
        def tell(success: bool, result: object) -> None:  # in the thread
            self._reactor.callFromThread(self._over, turn, result)

        return tell

    def _over(self, turn: Turn, result: object) -> None:
        self.turns.leave(turn)
        done = self._jobs.pop(turn).done
        if not done.called:
            done.callback(result)
        self._call()


def _begun() -> None:
    """Stands for a function that a thread has taken."""


class Threads:
    """Runs functions on threads: the kernel's own, or in turn those of a caller (L{of}).

    Callers wait for each other, but the kernel's own work for none of them.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        size: int = 8,
        limits: ThreadLimits | None = None,
        shares: ShareLimits | None = None,
    ) -> None:
        self._limits = limits or ThreadLimits()
        most = size + self._limits.own
        # All from the start: later, agents may have all processes that Linux has to give.
        self._pool = ThreadPool(most, most, "clove")
        self._callers = _Lane(reactor, self._pool, Turns.shared(size, shares or ShareLimits()))
        self._lane = _Lane(reactor, self._pool, Turns(self._limits.own, self._limits.own))
        self._family = self._caller = _KERNEL
        self._bounded = False

    def of(self, family: int, caller: int, *, bounded: bool = True) -> Threads:
        """The same threads for somebody, in turn with all others.

        @param bounded: refuse what is too much to wait. False for what the kernel does on
            somebody's account, such as writing its log, and bounds itself.
        """
        theirs = copy.copy(self)
        theirs._lane = self._callers
        theirs._family = family
        theirs._caller = caller
        theirs._bounded = bounded and family != OPERATORS
        return theirs

    def start(self) -> None:
        """Start all threads.

        @raise RuntimeError: the operating system does not give so many.
        """
        try:
            self._pool.start()
        except RuntimeError:  # the pool has the one that did not start among those to be joined
            started = [thread for thread in self._pool.threads if thread.ident is not None]
            self._pool.threads[:] = started
            raise

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
        return self._lane.run(Turn(self._family, self._caller), work).addCallback(_raised)

    def check_room(self) -> None:
        """Whether one more may wait.

        @raise LimitExceeded: as L{run} has it.
        """
        turns, limits = self._lane.turns, self._limits
        if self._bounded and (
            turns.of(self._family, self._caller) >= limits.per_caller
            or turns.of(self._family) >= limits.per_family
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
