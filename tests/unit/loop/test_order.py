"""Newcomers first, and all else as it came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clove.loop.polling import FEW, NewcomersFirst

MANY = FEW + 1


def ready(*fds: int) -> list[tuple[int, int]]:
    return [(fd, 1) for fd in fds]


def test_those_that_were_not_ready_in_the_turn_before_come_first() -> None:
    order = NewcomersFirst()
    assert order.arrange(ready(*range(MANY))) == ready(*range(MANY))
    found = order.arrange(ready(3, 90, *range(4, MANY), 91, 0, 1))
    assert found == ready(90, 91, 3, *range(4, MANY), 0, 1)


def test_one_that_was_a_newcomer_is_none_in_the_next_turn() -> None:
    order = NewcomersFirst()
    for last in (90, 91):
        order.arrange(ready(*range(MANY), last))
    assert order.arrange(ready(*range(MANY), 91)) == ready(*range(MANY), 91)
    assert order.arrange(ready(*range(MANY), 90)) == ready(90, *range(MANY))


def test_few_are_left_as_they_are_and_nothing_is_remembered_of_them() -> None:
    order = NewcomersFirst()
    order.arrange(ready(*range(MANY)))
    assert order.arrange(ready(1, 90)) == ready(1, 90)
    assert order.arrange(ready(*range(MANY), 90)) == ready(*range(MANY), 90)


@given(st.lists(st.lists(st.integers(0, 40), unique=True), max_size=5))
def test_all_that_is_ready_is_served_once(turns: list[list[int]]) -> None:
    order = NewcomersFirst()
    for turn in turns:
        assert sorted(order.arrange(ready(*turn))) == sorted(ready(*turn))
