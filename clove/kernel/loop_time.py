"""The time of the reactor's thread, divided between families.

A loop over all connections that have something to say takes as long as all of them take
together, and an agent may have many. So each family (see L{clove.sharing.fair_queue}) is served at once
only while it has time left; what it is served costs it that time, and it gets more as time goes
by, all families together half of it. What has none left waits: the families that wait have turns, each
as long as every other, and the loop polls between two of them. So a request of a family that has time
left is held up by C{family_turn} at a time, however many families keep the loop busy, and a family alone
still gets all the time there is.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore

from clove.sharing.shares import OPERATORS

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.answers import Answer
    from clove.kernel.pieces import Pieces

__all__ = ["FamilyTime", "LoopTime", "Waiter"]

T = TypeVar("T")

_RECOUNT = 0.1  # seconds between two counts of the families that are served
_FORGOTTEN = 1.0  # seconds after which a family that was not served has all its time again
_TOGETHER = 0.5  # of the time that goes by, what is given to all families that are served
_OPERATORS_PIECE: Final = 0.002  # seconds of an operator's work before others are served


class Waiter:
    """What waits for its family's turn."""

    def __init__(self, queue: LoopTime, family: int, call: Callable[[], object]) -> None:
        self._queue = queue
        self.family = family
        self.call = call

    def cancel(self) -> None:
        """Wait no more."""
        self._queue.remove(self)


class LoopTime:
    """
    @ivar serving: a connection's requests are served at this moment.
    @param family_turn: seconds that a family is served before the others are.
    @param long_work: work in pieces of one family that is under way at once.
    """

    def __init__(
        self,
        clock: IReactorTime,
        family_turn: float,
        long_work: int,
    ) -> None:
        self.serving = False
        self._clock = clock
        self._most = family_turn
        self._long_work = long_work
        self._left: dict[int, tuple[float, float]] = {}  # seconds, and as of when
        self._rate = _TOGETHER
        self._counted = 0.0
        self._served: set[int] = set()  # since the last turn
        self._waiting: OrderedDict[int, OrderedDict[Waiter, None]] = OrderedDict()
        self._call: IDelayedCall | None = None
        self._begun: dict[int, DeferredSemaphore] = {}  # by family

    def may(self, family: int, now: float) -> bool:
        """Whether a family may be served at once: it has time left, and nothing of it waits."""
        if family in self._waiting:
            return False
        known = self._left.get(family)  # not by `_has_left`: this is asked for every request
        return known is None or known[0] + (now - known[1]) * self._rate > 0

    def _has_left(self, family: int, now: float) -> bool:
        return self._now_left(family, now) > 0

    def _now_left(self, family: int, now: float) -> float:
        left, since = self._left.get(family, (self._most, now))
        return left + (now - since) * self._rate

    def spend(self, family: int, seconds: float, now: float) -> None:
        """A family was served for so long."""
        most = self._most
        known = self._left.get(family)  # not by `_now_left`: each request is charged for
        left = most if known is None else known[0] + (now - known[1]) * self._rate
        self._left[family] = ((left if left < most else most) - seconds, now)
        self._served.add(family)
        if now - self._counted > _RECOUNT:
            self._counted = now
            old = [each for each, (_, at) in self._left.items() if now - at > _FORGOTTEN]
            for each in old:
                del self._left[each]
            self._rate = _TOGETHER / len(self._left)

    def wait(self, family: int, call: Callable[[], object]) -> Waiter:
        """Call something in one of the family's next turns."""
        waiter = Waiter(self, family, call)
        self._waiting.setdefault(family, OrderedDict())[waiter] = None
        if self._call is None:
            self._call = self._clock.callLater(0, self._turn)
        return waiter

    def of(self, family: int) -> FamilyTime | None:
        """A family's part of it; None for operators, who share it with none."""
        return None if family == OPERATORS else FamilyTime(self, self._clock, family)

    def charge(self, family: int, call: Callable[[], object]) -> None:
        """Call something as a family's time, unless a connection is served, whose family is charged for that."""
        own = None if self.serving else self.of(family)
        if own is None:
            call()
        else:
            own.charge(call)

    def next_turn(self, family: int) -> Deferred[None]:
        """Fires in the family's next turn; what is done then counts as its time."""
        turn: Deferred[None] = Deferred(lambda _: cancel())
        own = self.of(family)
        if own is None:
            cancel = self._clock.callLater(0, lambda: turn.callback(None)).cancel
        else:
            cancel = own.call_later(lambda: turn.callback(None))
        return turn

    def in_turns(self, work: Pieces[T], family: int) -> Answer[T]:
        """What work in pieces gives: at once, where it is done within one turn of the family, which the caller
        has; else the rest is done in the family's turns. To cancel the Deferred is to abandon it.

        Where the family has as much under way as it may it is not begun before one of these is done.
        """
        begun = self._begun.get(family)
        worked = self._work(work, family) if begun is None or begun.tokens else None
        return worked[0] if worked else Deferred.fromCoroutine(self._work_on(work, family))

    async def _work_on(self, work: Pieces[T], family: int) -> T:
        try:
            async with self.begun(family):
                while True:
                    await self.next_turn(family)
                    if worked := self._work(work, family):
                        return worked[0]
        finally:
            work.close()

    @asynccontextmanager
    async def begun(self, family: int) -> AsyncIterator[None]:
        """Wait until a family has less under way than it may; what is done within it is, too."""
        begun = self._begun.setdefault(family, DeferredSemaphore(self._long_work))
        await begun.acquire()
        try:
            yield
        finally:
            begun.release()
            if begun.tokens == self._long_work:
                self._begun.pop(family, None)

    def _work(self, work: Pieces[T], family: int) -> tuple[T] | None:
        """Work for a turn; what it gives, or None: it is not done."""
        now = self._clock.seconds
        until = now() + (_OPERATORS_PIECE if family == OPERATORS else self._most)
        try:
            while True:
                next(work)
                if now() > until:
                    return None
        except StopIteration as end:
            return (end.value,)

    def call_all(self, family: int, calls: Iterable[Callable[[], object]]) -> None:
        """Call each: at once as far as the family has time left, the others in its turns."""
        now = self._clock.seconds
        rest = deque(calls)

        def some() -> None:
            begun = now()
            until = begun + self._most
            while rest:
                rest.popleft()()
                if now() > until:
                    break
            ended = now()
            self.spend(family, ended - begun, ended)
            if rest:
                self.wait(family, some)

        if self.may(family, now()):
            some()
        else:
            self.wait(family, some)

    def remove(self, waiter: Waiter) -> None:
        """Take out what waits; nothing happens if it does not."""
        line = self._waiting.get(waiter.family)
        if line is not None and waiter in line:
            del line[waiter]
            if not line:
                del self._waiting[waiter.family]
        if not self._waiting and self._call is not None:
            self._call.cancel()
            self._call = None

    def _turn(self) -> None:
        """Serve the family that has waited longest; the loop polls before the next one's turn."""
        self._call = None
        if not self._waiting:  # what asked anew in the last turn was served in it
            return
        now = self._clock.seconds
        family = next(iter(self._waiting))
        alone = len(self._waiting) == 1 and self._served.issubset(self._waiting)
        self._served.clear()
        begun = now()
        # One that took longer in its last turn, as a single request may, waits for some more:
        # unless no other family has asked for anything meanwhile.
        left = self._most if alone else self._now_left(family, begun) + self._most
        self._left[family] = (min(self._most, left), begun)
        while (line := self._waiting.get(family)) and self._has_left(family, now()):
            waiter, _ = line.popitem(last=False)
            if not line:
                del self._waiting[family]
            waiter.call()
        if family in self._waiting:
            self._waiting.move_to_end(family)
        if self._waiting and self._call is None:
            self._call = self._clock.callLater(0, self._turn)


class FamilyTime:
    """One family's part of the loop's time, for what is no request: output that is read."""

    def __init__(self, queue: LoopTime, clock: IReactorTime, family: int) -> None:
        self._queue = queue
        self._clock = clock
        self._family = family

    def serve(
        self, call: Callable[[], object], in_turn: Callable[[], object]
    ) -> Callable[[], None] | None:
        """Call something at once, if the family has time left.

        @param in_turn: else called in one of its turns.
        @return: None: it was called; else what keeps `in_turn` from being called.
        """
        if not self._queue.may(self._family, self._clock.seconds()):
            return self.call_later(in_turn)
        self.charge(call)
        return None

    def call_later(self, call: Callable[[], object]) -> Callable[[], None]:
        """Call something in one of its turns; gives what cancels that."""
        return self._queue.wait(self._family, lambda: self.charge(call)).cancel

    def charge(self, call: Callable[[], object]) -> None:
        """Call something at once: it counts as the family's time."""
        begun = self._clock.seconds()
        call()
        ended = self._clock.seconds()
        self._queue.spend(self._family, ended - begun, ended)
