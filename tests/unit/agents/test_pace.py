"""A few at a time: turns, their order, and those who take too long."""

from __future__ import annotations

from twisted.internet.task import Clock

from clove.kernel.agents.pace import Pace, Turn


class Scene:
    """Two at once, a second each; remembers who began."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.pace = Pace(self.clock, 2, 1.0)
        self.began: list[str] = []

    def ask(self, name: str) -> Turn:
        return self.pace.turn(lambda: self.began.append(name))


def test_as_many_begin_as_may_and_the_rest_in_order_as_others_end() -> None:
    scene = Scene()
    first, second, _, _ = (scene.ask(name) for name in "abcd")
    assert scene.began == ["a", "b"]
    second.over()
    assert scene.began == ["a", "b", "c"]
    first.over()
    assert scene.began == ["a", "b", "c", "d"]


def test_one_that_does_not_end_holds_the_others_up_for_its_time_alone() -> None:
    scene = Scene()
    turns = [scene.ask(name) for name in "abcd"]
    scene.clock.advance(0.9)
    assert scene.began == ["a", "b"]
    scene.clock.advance(0.1)
    assert scene.began == ["a", "b", "c", "d"]
    for turn in turns:
        turn.over()
    assert not scene.clock.getDelayedCalls()


def test_its_late_end_makes_no_room_twice() -> None:
    scene = Scene()
    late = scene.ask("a")
    scene.clock.advance(1.0)
    late.over()
    late.over()
    for name in "bcd":
        scene.ask(name)
    assert scene.began == ["a", "b", "c"]


def test_one_that_is_over_before_its_turn_never_begins() -> None:
    scene = Scene()
    first, _, third, _ = (scene.ask(name) for name in "abcd")
    third.over()
    first.over()
    assert scene.began == ["a", "b", "d"]


def test_one_that_ends_while_it_begins_makes_room_at_once() -> None:
    scene = Scene()
    turns: list[Turn] = []

    def begin() -> None:
        scene.began.append("x")

    for _ in range(5):
        turn = scene.pace.turn(begin)
        turns.append(turn)
        turn.over()
    assert scene.began == ["x"] * 5
    assert not scene.clock.getDelayedCalls()
