"""Work that takes long is done in pieces, in the turns of the family that it is for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.loop_time import LoopTime
from clove.kernel.pieces import Pieces, at_once
from clove.sharing.shares import OPERATORS
from tests.reactor_turns import turn

BEGUN = ConnectionLimits().long_work
TURN = 0.002
PIECE = 0.0009  # so that three of them are more than a turn


class Work:
    """Counts its pieces; each takes a part of the clock's time."""

    def __init__(self, clock: Clock, pieces: int) -> None:
        self._clock = clock
        self._pieces = pieces
        self.done = 0
        self.closed = False

    def __call__(self) -> Pieces[str]:
        try:
            for _ in range(self._pieces):
                self._clock.rightNow += PIECE
                self.done += 1
                yield
            return "done"
        finally:
            self.closed = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def time(clock: Clock) -> LoopTime:
    return LoopTime(clock, TURN, BEGUN)


def begin(time: LoopTime, work: Work, family: int = 7) -> list[object]:
    """Where its result comes."""
    answer = time.in_turns(work(), family)
    assert isinstance(answer, Deferred)
    results: list[object] = []
    answer.addBoth(results.append)
    return results


def test_what_is_short_is_done_at_once(time: LoopTime, clock: Clock) -> None:
    assert time.in_turns(Work(clock, 2)(), 7) == "done"
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("family", [7, OPERATORS])
def test_what_is_long_is_done_in_turns_of_a_few_pieces(
    time: LoopTime, clock: Clock, family: int
) -> None:
    work = Work(clock, 10)
    results = begin(time, work, family)
    done = [work.done]
    while not results:
        turn(clock)
        done.append(work.done)
    assert results == ["done"]
    assert done == [3, 6, 9, 10]


def test_between_two_turns_another_family_is_served(time: LoopTime, clock: Clock) -> None:
    work = Work(clock, 10)
    begin(time, work)
    seen: list[int] = []
    time.wait(8, lambda: seen.append(work.done))
    turn(clock)
    turn(clock)
    turn(clock)
    assert seen == [6]


def test_it_counts_as_the_familys_time(time: LoopTime, clock: Clock) -> None:
    def work() -> Pieces[None]:
        clock.rightNow += 2 * TURN
        yield
        clock.rightNow += 2 * TURN

    time.in_turns(work(), 7)
    assert time.may(8, clock.seconds())
    turn(clock)
    assert not time.may(7, clock.seconds())
    assert time.may(8, clock.seconds())


@pytest.mark.parametrize("family", [7, OPERATORS])
def test_what_is_cancelled_is_abandoned(time: LoopTime, clock: Clock, family: int) -> None:
    work = Work(clock, 10)
    answer = time.in_turns(work(), family)
    assert isinstance(answer, Deferred)
    ended: list[object] = []
    answer.addErrback(lambda failure: ended.append(failure.check(CancelledError)))
    answer.cancel()
    assert ended == [CancelledError]
    assert work.closed
    assert work.done == 3
    assert clock.getDelayedCalls() == []


def test_what_is_refused_in_a_later_piece_is_the_failure(time: LoopTime, clock: Clock) -> None:
    def refused() -> Pieces[None]:
        yield from Work(clock, 5)()
        raise ValueError("too much")

    answer = time.in_turns(refused(), 7)
    assert isinstance(answer, Deferred)
    said: list[str] = []
    answer.addErrback(lambda failure: said.append(failure.getErrorMessage()))
    turn(clock)
    assert said == ["too much"]


def test_of_a_familys_work_little_is_under_way_at_once(time: LoopTime, clock: Clock) -> None:
    """All that is begun holds what it has found so far, and none of that is counted."""
    works = [Work(clock, 10) for _ in range(3 * BEGUN)]
    results = [begin(time, work) for work in works]
    most = 0
    while not all(results):
        turn(clock)
        most = max(most, sum(bool(work.done) and not work.closed for work in works))
    assert most == BEGUN
    assert results == [["done"]] * len(works)
    assert [work.done for work in works] == [10] * len(works)


def test_work_that_waits_to_be_begun_holds_up_no_other_family(time: LoopTime, clock: Clock) -> None:
    works = [Work(clock, 10) for _ in range(BEGUN + 1)]
    for work in works:
        begin(time, work)
    assert not works[BEGUN].done
    assert time.in_turns(Work(clock, 2)(), 8) == "done"


def test_work_that_is_abandoned_makes_room_for_what_waits(time: LoopTime, clock: Clock) -> None:
    answers = [time.in_turns(Work(clock, 10)(), 7) for _ in range(BEGUN)]
    waiting, last = Work(clock, 10), Work(clock, 10)
    given_up = time.in_turns(waiting(), 7)
    results = begin(time, last)
    for answer in [given_up, *answers]:
        assert isinstance(answer, Deferred)
        answer.addErrback(lambda failure: failure.trap(CancelledError) and None)
        answer.cancel()
    while not results:
        turn(clock)
    assert waiting.done == 0
    assert results == ["done"]
    assert time.in_turns(Work(clock, 2)(), 7) == "done"
    assert clock.getDelayedCalls() == []


def test_where_nothing_else_waits_it_is_all_done_at_once(clock: Clock) -> None:
    do: Callable[..., object] = at_once
    assert do(Work(clock, 100)()) == "done"
