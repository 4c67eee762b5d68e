"""Readings that many ask for are made once."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.kernel.metrics.recent import Recent


class Readings:
    """What is read when the test says so."""

    def __init__(self, seconds: float = 1) -> None:
        self.clock = Clock()
        self.recent: Recent[str, str] = Recent(self.clock, seconds, 100)
        self.asked: list[tuple[list[str], Deferred[list[str]]]] = []

    def get(self, *keys: str, family: int = 1) -> Deferred[list[str]]:
        return Deferred.fromCoroutine(self.recent.get(family, keys, self.read))

    def read(self, keys: list[str]) -> Deferred[list[str]]:
        self.asked.append((keys, Deferred()))
        return self.asked[-1][1]

    def answer(self, which: int, *values: str) -> None:
        self.asked[which][1].callback(list(values))


async def test_a_request_while_it_is_read_gets_the_same_reading() -> None:
    readings = Readings()
    waiting = [readings.get("a") for _ in range(99)]
    both = readings.get("b", "a")
    assert [keys for keys, _ in readings.asked] == [["a"], ["b"]]
    readings.answer(0, "A")
    readings.answer(1, "B")
    assert {tuple(await each) for each in waiting} == {("A",)}
    assert await both == ["B", "A"]


async def test_a_request_soon_after_gets_it_too_and_a_later_one_a_new_one() -> None:
    readings = Readings()
    first = readings.get("a", "a")
    readings.answer(0, "A")
    assert await first == ["A", "A"]
    readings.clock.advance(0.9)
    assert await readings.get("a", family=2) == ["A"]
    readings.clock.advance(0.2)
    later = readings.get("a")
    readings.answer(1, "A2")
    assert await later == ["A2"]


async def test_no_family_waits_for_a_reading_that_another_asked_for() -> None:
    readings = Readings()
    stuck = readings.get("a")
    mine = readings.get("a", family=2)
    readings.answer(1, "A")
    assert await mine == ["A"]
    readings.answer(0, "old")
    assert await stuck == ["old"]


async def test_a_refusal_is_told_to_all_and_forgotten() -> None:
    readings = Readings()
    waiting = [readings.get("a", "b"), readings.get("b")]
    readings.asked[0][1].errback(LimitExceeded("too much"))
    for each in waiting:
        with pytest.raises(LimitExceeded):
            await each
    again = readings.get("a")
    readings.answer(1, "A")
    assert await again == ["A"]


async def test_giving_up_leaves_the_reading_to_others() -> None:
    readings = Readings()
    first, second = readings.get("a"), readings.get("a")
    first.cancel()
    first.addErrback(lambda failure: failure.trap(CancelledError))
    readings.answer(0, "A")
    assert await second == ["A"]


async def test_an_interval_of_nothing_shares_no_reading_that_is_over() -> None:
    readings = Readings(0)
    first = readings.get("a")
    readings.answer(0, "A")
    assert await first == ["A"]
    second = readings.get("a")
    readings.answer(1, "A2")
    assert await second == ["A2"]


def test_what_is_old_is_not_kept() -> None:
    readings = Readings()
    for number in range(5):
        readings.get(f"a{number}")
        readings.answer(number, "A")
        readings.clock.advance(2)
    assert len(readings.recent._fresh) == 1
    assert not readings.recent._running


async def test_of_one_family_no_more_may_wait_than_can_be_told_in_one_go() -> None:
    readings = Readings()
    waiting = [readings.get("a", "b") for _ in range(100)]
    with pytest.raises(LimitExceeded, match="wait for samples"):
        await readings.get("c")
    other = readings.get("a", family=2)
    readings.answer(1, "A")
    assert await other == ["A"]
    readings.answer(0, "A", "B")
    assert [await each for each in waiting] == [["A", "B"]] * 100
    assert await readings.get("a") == ["A"]
    assert not readings.recent._waiting
