"""Ids: what is given was reserved before, and comes once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clove.errors import LimitExceeded, Unavailable
from clove.kernel.counter import Counter


class Asked:
    """A counter of agents, and how often it has asked."""

    def __init__(self, first: int = 1, last: int = 1000, ahead: int = 10) -> None:
        self.times = 0
        self.counter = Counter("agents", first, last, ahead, self.ask)

    def ask(self) -> None:
        self.times += 1


def test_nothing_is_given_before_it_is_reserved() -> None:
    asked = Asked()
    with pytest.raises(Unavailable, match="agents"):
        asked.counter.take()
    assert asked.times == 1
    asked.counter.reserve(asked.counter.wanted())
    assert [asked.counter.take() for _ in range(3)] == [1, 2, 3]


def test_more_is_asked_for_when_half_is_given() -> None:
    asked = Asked()
    asked.counter.reserve(asked.counter.wanted())
    for _ in range(5):
        asked.counter.take()
    assert asked.times == 0
    asked.counter.take()
    assert asked.times > 0
    assert asked.counter.wanted() == 17


def test_a_slow_disk_leaves_the_rest_of_the_range_and_then_nothing() -> None:
    asked = Asked()
    asked.counter.reserve(11)
    assert [asked.counter.take() for _ in range(10)] == list(range(1, 11))
    for _ in range(3):
        with pytest.raises(Unavailable):
            asked.counter.take()
    asked.counter.reserve(21)
    assert asked.counter.take() == 11


def test_what_must_have_a_number_has_one_without_the_disk() -> None:
    asked = Asked()
    assert [asked.counter.take_always() for _ in range(20)] == list(range(1, 21))
    assert asked.times == 20
    asked.counter.reserve(11)  # of an earlier time
    assert asked.counter.take_always() == 21
    with pytest.raises(Unavailable):
        asked.counter.take()


def test_the_last_number_is_given_and_none_after_it() -> None:
    asked = Asked(first=2**32 - 3, last=2**32 - 1)
    assert asked.counter.wanted() == 2**32
    asked.counter.reserve(2**32)
    assert asked.counter.left == 3
    assert [asked.counter.take() for _ in range(3)] == [2**32 - 3, 2**32 - 2, 2**32 - 1]
    for _ in range(2):
        with pytest.raises(LimitExceeded, match="no ids for agents left") as caught:
            asked.counter.take()
    assert "--state-dir" in caught.value.hint
    assert (asked.counter.left, asked.counter.close()) == (0, 2**32)
    with pytest.raises(LimitExceeded):
        asked.counter.take()


def test_after_the_end_nothing_is_given() -> None:
    asked = Asked()
    asked.counter.reserve(11)
    asked.counter.take()
    assert asked.counter.close() == 2
    with pytest.raises(Unavailable):
        asked.counter.take()
    assert asked.times == 0


@settings(deadline=None, derandomize=True, database=None, max_examples=50)
@given(st.lists(st.sampled_from(["take", "ask", "written", "kill", "end"]), max_size=80))
def test_no_number_comes_twice_whatever_happens(events: list[str]) -> None:
    disk, given_before = 1, 0
    writing: int | None = None
    counter: Any = None
    for event in ["kill", *events]:
        if event in ("kill", "end"):
            if event == "end":
                disk = counter.close()
            counter, writing = Counter("agents", disk, 30, 4, lambda: None), None
            disk = counter.wanted()
            counter.reserve(disk)
        elif event == "ask":
            writing = counter.wanted()
        elif event == "written" and writing is not None:
            disk = writing
            counter.reserve(disk)
            writing = None
        elif event == "take":
            try:
                number = counter.take()
            except (Unavailable, LimitExceeded):
                continue
            assert given_before < number < disk
            given_before = number
