"""The reactor's time is divided between families."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from clove.kernel.loop_time import LoopTime
from clove.sharing.shares import OPERATORS
from tests.reactor_turns import turn

TURN = 0.002


class Loop:
    """A clock that serving takes time of, and who was served."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.time = LoopTime(self.clock, TURN, 8)
        self.served: list[int] = []

    def serve(self, family: int, seconds: float) -> None:
        self.served.append(family)
        self.clock.rightNow += seconds
        self.time.spend(family, seconds, self.clock.seconds())

    def wait(self, family: int, seconds: float) -> Callable[[], None]:
        return self.time.wait(family, lambda: self.serve(family, seconds)).cancel

    def turn(self) -> None:
        turn(self.clock)

    def may(self, family: int) -> bool:
        return self.time.may(family, self.clock.seconds())


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_a_family_is_served_at_once_until_its_time_is_spent(loop: Loop) -> None:
    assert loop.may(7)
    loop.serve(7, TURN / 2)
    assert loop.may(7)
    loop.serve(7, TURN)
    assert not loop.may(7)
    assert loop.may(8)


def test_time_comes_back_and_no_more_than_a_turn_of_it(loop: Loop) -> None:
    loop.serve(7, 2 * TURN)
    loop.clock.advance(2 * TURN)
    assert not loop.may(7)  # it gets half of the time that goes by
    loop.clock.advance(TURN)
    assert loop.may(7)
    loop.clock.advance(100)
    loop.serve(7, 1.5 * TURN)
    assert not loop.may(7)


def test_all_families_together_get_half_of_the_time(loop: Loop) -> None:
    for family in range(10):
        loop.serve(family, TURN)
    loop.clock.advance(0.11)
    loop.serve(0, TURN)  # the families are counted again
    loop.serve(0, 2 * TURN)
    loop.clock.advance(4 * TURN)
    assert not loop.may(0)


def test_families_that_wait_have_turns_of_the_same_length_and_the_loop_goes_on_between(
    loop: Loop,
) -> None:
    for _ in range(20):
        loop.wait(7, TURN / 2)
    for _ in range(20):
        loop.wait(8, TURN / 2)
    loop.wait(9, TURN / 2)
    counts = []
    for _ in range(5):
        loop.turn()
        counts.append([loop.served.count(family) for family in (7, 8, 9)])
    # half of the time comes back meanwhile
    assert counts == [[3, 0, 0], [3, 3, 0], [3, 3, 1], [7, 3, 1], [7, 7, 1]]
    assert not loop.may(7)


def test_what_waits_is_served_in_its_order(loop: Loop) -> None:
    done: list[int] = []
    for number in range(5):
        loop.time.wait(7, lambda number=number: done.append(number))  # type: ignore[misc]
    loop.clock.advance(0)
    assert done == [0, 1, 2, 3, 4]


def test_what_asks_anew_in_a_turn_and_is_served_in_it_leaves_nothing_to_the_next(
    loop: Loop,
) -> None:
    loop.serve(7, 2 * TURN)
    loop.time.wait(7, lambda: loop.wait(7, 0.0))
    loop.turn()
    assert loop.served == [7, 7]
    loop.turn()
    assert not loop.clock.calls


def test_what_is_cancelled_is_not_served_even_within_the_turn(loop: Loop) -> None:
    cancels: list[Callable[[], None]] = []
    loop.time.wait(7, lambda: cancels[0]())
    cancels.append(loop.wait(7, 0))
    loop.clock.advance(0)
    assert loop.served == []
    loop.wait(8, 0)()
    assert loop.clock.getDelayedCalls() == []


def test_families_that_are_gone_are_forgotten(loop: Loop) -> None:
    for family in range(1000):
        loop.serve(family, 0.01)
    assert len(loop.time._left) < 150


def test_a_family_alone_never_waits_whatever_it_has_spent(loop: Loop) -> None:
    loop.serve(7, 50 * TURN)
    loop.wait(7, TURN)
    loop.turn()  # what others have asked for meanwhile would be served now
    loop.turn()
    assert loop.served == [7, 7]


def test_a_family_that_has_spent_much_waits_while_others_are_served(loop: Loop) -> None:
    loop.serve(7, 9 * TURN)
    loop.wait(7, TURN)
    for _ in range(4):
        loop.serve(8, TURN / 100)
        loop.turn()
    assert loop.served == [7, 8, 8, 8, 8]


def test_what_is_no_request_is_served_at_once_until_the_time_is_spent(loop: Loop) -> None:
    own = loop.time.of(7)
    assert own is not None

    def read() -> None:
        loop.served.append(7)
        loop.clock.rightNow += 2 * TURN

    assert own.serve(read, read) is None
    assert not loop.may(7)
    assert loop.may(8)
    stop = own.serve(read, read)
    assert stop is not None
    assert loop.served == [7]
    loop.turn()
    assert loop.served == [7, 7]
    stop = own.serve(read, read)
    assert stop is not None
    stop()
    loop.turn()
    assert loop.served == [7, 7]
    own.charge(read)
    assert loop.served == [7, 7, 7]
    assert not loop.may(7)


def test_what_is_done_in_a_familys_turn_is_its_time(loop: Loop) -> None:
    def work(_: None) -> None:
        loop.clock.rightNow += 2 * TURN

    loop.time.next_turn(7).addCallback(work)
    loop.turn()
    assert not loop.may(7)


def test_operators_have_all_the_time(loop: Loop) -> None:
    assert loop.time.of(OPERATORS) is None
    done: list[None] = []
    loop.time.next_turn(OPERATORS).addCallback(done.append)
    assert done == []
    loop.turn()
    assert done == [None]


@pytest.mark.parametrize("family", [OPERATORS, 7])
def test_a_turn_that_is_not_wanted_any_more_is_none(loop: Loop, family: int) -> None:
    turn = loop.time.next_turn(family)
    turn.addErrback(lambda failure: failure.trap(CancelledError))
    turn.cancel()
    loop.turn()
    assert not loop.clock.getDelayedCalls()


@pytest.mark.parametrize("serving", [False, True])
def test_work_beside_requests_is_charged_and_within_one_its_connection_is(
    loop: Loop, serving: bool
) -> None:
    loop.time.serving = serving
    loop.time.charge(7, lambda: loop.clock.advance(2 * TURN))
    assert loop.may(7) is serving
    loop.time.charge(OPERATORS, lambda: loop.clock.advance(2 * TURN))
    assert loop.may(OPERATORS)
