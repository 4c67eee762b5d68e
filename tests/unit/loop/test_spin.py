"""When the loop polls on before it sleeps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import pytest

from clove.loop.polling import MOST_SKIPPED, Spin, make_spin

READY = [(3, 1)]
WAIT = 40e-6
STEP = 10e-6


class Poller:
    """Finds something in the polls that it is told to; each takes L{STEP}."""

    def __init__(self) -> None:
        self.now = 0.0
        self.polls: list[float] = []
        self.found: set[int] = set()

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        assert most == 64
        self.polls.append(timeout)
        self.now += STEP
        return READY if len(self.polls) in self.found or timeout else []

    def seconds(self) -> float:
        return self.now

    def take(self) -> list[float]:
        polls, self.polls = self.polls, []
        return polls


@pytest.fixture
def poller() -> Poller:
    return Poller()


@pytest.fixture
def spin(poller: Poller) -> Spin:
    return Spin(poller, WAIT, poller.seconds)


def test_what_is_ready_is_served_without_another_poll(poller: Poller, spin: Spin) -> None:
    poller.found = {1}
    assert spin.poll(-1, 64) == READY
    assert poller.polls == [0]


def test_it_polls_for_so_long_and_then_sleeps(poller: Poller, spin: Spin) -> None:
    assert spin.poll(-1, 64) == READY
    assert poller.polls == [0] * 5 + [-1]


def test_what_comes_meanwhile_is_served_without_sleeping(poller: Poller, spin: Spin) -> None:
    poller.found = {3}
    assert spin.poll(-1, 64) == READY
    assert poller.polls == [0, 0, 0]


def test_it_is_no_later_than_the_next_timed_call(poller: Poller, spin: Spin) -> None:
    spin.poll(STEP, 64)
    assert poller.polls == [0, 0, STEP]


def test_where_nothing_may_be_waited_for_it_polls_once(poller: Poller, spin: Spin) -> None:
    assert spin.poll(0, 64) == []
    assert poller.polls == [0]


def _sleeps_between_tries(poller: Poller, spin: Spin, count: int) -> list[int]:
    """How many sleeps went by without a try, before each."""

    def tries() -> Iterator[int]:
        passed = 0
        while True:
            poller.take()
            spin.poll(-1, 64)
            if poller.polls == [-1]:
                passed += 1
            else:
                yield passed
                passed = 0

    return list(islice(tries(), count))


def test_the_more_often_nothing_comes_the_fewer_tries(poller: Poller, spin: Spin) -> None:
    assert _sleeps_between_tries(poller, spin, 9) == [0, 1, 3, 7, 15, 31, 63, 63, 63]
    assert MOST_SKIPPED == 63


def test_a_poll_that_does_not_wait_is_no_sleep(poller: Poller, spin: Spin) -> None:
    spin.poll(-1, 64)  # nothing comes: the next sleep is without a try
    for _ in range(10):
        spin.poll(0, 64)
    poller.take()
    spin.poll(-1, 64)
    assert poller.polls == [-1]


def test_after_a_try_that_paid_it_tries_each_time(poller: Poller, spin: Spin) -> None:
    _sleeps_between_tries(poller, spin, 5)
    poller.take()
    poller.found = {2}
    while spin.poll(-1, 64) and poller.take() == [-1]:
        pass
    for _ in range(3):
        assert spin.poll(-1, 64) == READY
        assert poller.take() == [0, 0]


def test_without_a_second_processor_it_is_left_out(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert isinstance(make_spin(poller, WAIT), Spin)
    assert make_spin(poller, 0) is poller
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert make_spin(poller, WAIT) is poller
