"""Ends a few at a time: their order, and those that take too long."""

from __future__ import annotations

from twisted.internet.task import Clock

from clove.kernel.agents.end_limiter import EndLimiter, EndPermit


class Fixture:
    """Two at once, a second each; remembers which began."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.limiter = EndLimiter(self.clock, 2, 1.0)
        self.began: list[str] = []

    def ask(self, name: str) -> EndPermit:
        return self.limiter.admit(lambda: self.began.append(name))


def test_as_many_begin_as_may_and_the_rest_in_order_as_others_end() -> None:
    fixture = Fixture()
    first, second, _, _ = (fixture.ask(name) for name in "abcd")
    assert fixture.began == ["a", "b"]
    second.release()
    assert fixture.began == ["a", "b", "c"]
    first.release()
    assert fixture.began == ["a", "b", "c", "d"]


def test_one_that_does_not_end_holds_the_others_up_for_its_time_alone() -> None:
    fixture = Fixture()
    turns = [fixture.ask(name) for name in "abcd"]
    fixture.clock.advance(0.9)
    assert fixture.began == ["a", "b"]
    fixture.clock.advance(0.1)
    assert fixture.began == ["a", "b", "c", "d"]
    for turn in turns:
        turn.release()
    assert not fixture.clock.getDelayedCalls()


def test_its_late_end_makes_no_room_twice() -> None:
    fixture = Fixture()
    late = fixture.ask("a")
    fixture.clock.advance(1.0)
    late.release()
    late.release()
    for name in "bcd":
        fixture.ask(name)
    assert fixture.began == ["a", "b", "c"]


def test_one_that_is_over_before_its_turn_never_begins() -> None:
    fixture = Fixture()
    first, _, third, _ = (fixture.ask(name) for name in "abcd")
    third.release()
    first.release()
    assert fixture.began == ["a", "b", "d"]


def test_one_that_ends_while_it_begins_makes_room_at_once() -> None:
    fixture = Fixture()
    turns: list[EndPermit] = []

    def begin() -> None:
        fixture.began.append("x")

    for _ in range(5):
        turn = fixture.limiter.admit(begin)
        turns.append(turn)
        turn.release()
    assert fixture.began == ["x"] * 5
    assert not fixture.clock.getDelayedCalls()
