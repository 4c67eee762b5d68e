"""Whose turn is next: each family's, and in it each child's, level by level."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.principal import Kind, Principal
from clove.policy import parse
from clove.sharing.fair_queue import FairQueue, Path
from clove.sharing.shares import OPERATORS, ShareLimits


@dataclass(eq=False)
class Item:
    path: Path
    name: str = ""


def queue(at_once: int = 1, per_family: int = 1, operators: int = 0) -> FairQueue[Item]:
    return FairQueue(at_once, per_family, operators)


def add(line: FairQueue[Item], *paths: Path) -> list[Item]:
    """Items of these paths, named in the order in which they came."""
    items = [Item(path, str(number)) for number, path in enumerate(paths)]
    for item in items:
        line.add(item)
    return items


def start_all(line: FairQueue[Item]) -> list[Item]:
    """All that go now."""
    found = []
    while (item := line.next()) is not None:
        found.append(item)
    return found


def serve(line: FairQueue[Item], count: int) -> list[Path]:
    """Paths in the order of their turns, one after the other."""
    order = []
    for _ in range(count):
        item = line.next()
        assert item is not None
        order.append(item.path)
        assert line.finish(item)
    return order


def assert_empty(line: FairQueue[Item]) -> None:
    """Nothing waits, is in service, or is kept of what was."""
    assert (len(line), list(line)) == (0, [])
    assert (line._root.size, line._root.turns) == (0, {})
    assert (line._in_service, line._of_family) == (set(), {})


# how many at once


def test_so_many_at_once() -> None:
    line = queue(2, 2)
    first, second, third = add(line, (1,), (2,), (3,))
    assert start_all(line) == [first, second]
    assert line.finish(second)
    assert start_all(line) == [third]


def test_of_one_family_so_many_at_once_whatever_waits() -> None:
    line = queue(4, 2)
    mine = add(line, (1,), (1, 2), (1, 3))
    assert start_all(line) == mine[:2]
    other = add(line, (2,))
    assert start_all(line) == other
    line.finish(mine[0])
    assert start_all(line) == mine[2:]


def test_operators_have_a_reserve_and_need_wait_for_no_family() -> None:
    line = queue(4, 2, 1)
    add(line, (1,), (1, 2), (2,), (2, 3))
    assert [item.path[0] for item in start_all(line)] == [1, 2, 1]
    operators = add(line, (OPERATORS, 5), (OPERATORS, 6))
    assert start_all(line) == operators[:1]
    line.finish(operators[0])
    assert start_all(line) == operators[1:]


def test_operators_alone_may_have_all() -> None:
    line = queue(4, 2, 1)
    add(line, *[(OPERATORS, caller) for caller in range(6)])
    assert len(start_all(line)) == 4


def test_it_is_divided_as_shares_are() -> None:
    line: FairQueue[Item] = FairQueue.shared(8, ShareLimits())
    add(line, *[(family,) for family in (1, 2) for _ in range(9)])
    assert sorted(item.path[0] for item in start_all(line)) == [1, 1, 1, 1, 2, 2, 2]
    add(line, (OPERATORS, 1))
    assert [item.path[0] for item in start_all(line)] == [OPERATORS]


# whose turn


def test_a_family_that_asks_much_does_not_delay_another() -> None:
    line = queue()
    many = [(1, caller) for caller in range(10, 60)]
    add(line, *many, (2,), (3,), (2,))
    assert serve(line, 5) == [(1, 10), (2,), (3,), (1, 11), (2,)]
    assert serve(line, 48) == many[2:]


def test_one_that_comes_late_waits_one_turn_only() -> None:
    line = queue()
    add(line, (1,), (1,), (1,))
    assert serve(line, 1) == [(1,)]
    add(line, (2,))
    assert serve(line, 3) == [(1,), (2,), (1,)]


def test_in_a_family_each_agent_has_its_turn() -> None:
    line = queue()
    add(line, (1,), (1,), (1,), (1, 2), (1, 3), (1, 2))
    assert serve(line, 6) == [(1,), (1, 2), (1, 3), (1,), (1, 2), (1,)]


def test_a_child_with_many_of_its_own_has_no_more_turns_than_its_sister() -> None:
    line = queue()
    add(line, *[(1, 2, child) for child in range(10, 20)], (1, 3), (1, 3), (1, 3))
    assert serve(line, 7) == [
        *((1, 2, 10), (1, 3)),
        *((1, 2, 11), (1, 3)),
        *((1, 2, 12), (1, 3)),
        (1, 2, 13),
    ]


def test_an_agent_and_each_of_its_children_have_one_turn_each() -> None:
    line = queue()
    add(line, (1,), (1, 2, 9), (1, 2), (1,), (1, 3))
    assert serve(line, 5) == [(1,), (1, 2, 9), (1, 3), (1,), (1, 2)]


def test_one_that_may_not_go_is_passed_over_and_keeps_its_turn() -> None:
    line = queue(9, 9)
    add(line, (1,), (1,), (1, 2), (2,))
    asked: list[Path] = []

    def may(item: Item) -> bool:
        asked.append(item.path)
        return item.path == (2,)

    item = line.next(may)
    assert item is not None
    assert asked == [(1,), (1, 2), (2,)]  # each path once
    assert line.next(may) is None
    assert serve(line, 3) == [(1,), (1, 2), (1,)]


# giving up


def test_giving_up_loses_one_place_alone() -> None:
    line = queue()
    first, second, third = add(line, (1,), (1,), (2,))
    assert line.withdraw(first)
    assert not line.withdraw(first)
    assert not line.finish(first)
    assert start_all(line) == [second]
    assert not line.withdraw(second)
    assert line.withdraw(third)
    assert line.finish(second)
    assert start_all(line) == []
    assert_empty(line)


def test_what_never_waited_is_not_taken_out() -> None:
    line = queue()
    add(line, (1, 2))
    for path in ((1,), (1, 2), (1, 2, 3), (4,)):
        assert not line.withdraw(Item(path))
    assert len(line) == 1


def test_it_is_known_how_many_wait() -> None:
    line = queue()
    add(line, (1,), (1,), (1, 2), (1, 2, 3), (2,))
    line.next()
    assert (len(line), line.waiting((1,)), line.waiting((1, 2)), line.waiting((2,))) == (4, 3, 2, 1)
    assert (line.waiting_at((1,)), line.waiting_at((1, 2)), line.waiting_at((7,))) == (1, 1, 0)


# without waiting


def test_with_room_and_nothing_that_waits_one_starts_at_once() -> None:
    line = queue(3, 2, 1)
    items = [Item((1,)), Item((1, 2)), Item((2,)), Item((OPERATORS, 1))]
    assert [line.start(item) for item in items] == [True, True, False, True]
    assert not line.start(Item((OPERATORS, 1)))
    line.finish(items[0])
    add(line, (1,))
    assert not line.start(Item((3,)))  # another waits


# any order of events

PATHS = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple)
EVENTS = st.lists(st.tuples(st.sampled_from(["add", "next", "finish", "withdraw"]), PATHS))


@given(EVENTS, st.integers(1, 4), st.integers(1, 3))
def test_whatever_happens_the_bounds_hold_and_nothing_is_lost(
    events: list[tuple[str, Path]], at_once: int, per_family: int
) -> None:
    line = queue(at_once, per_family)
    waiting: list[Item] = []
    serving: list[Item] = []
    for what, path in events:
        mine = [item for item in waiting if item.path == path]
        if what == "add":
            waiting += add(line, path)
        elif what == "withdraw" and mine:
            assert line.withdraw(mine[-1])
            waiting.remove(mine[-1])
        elif what == "finish" and serving:
            assert line.finish(serving.pop())
        elif what == "next":
            families = Counter(item.path[0] for item in serving)
            could = len(serving) < at_once and any(
                families[item.path[0]] < per_family for item in waiting
            )
            item = line.next()
            assert (item is not None) is could
            if item is not None:  # the first of its path
                assert item is next(one for one in waiting if one.path == item.path)
                waiting.remove(item)
                serving.append(item)
        assert len(line) == len(waiting)
        assert {id(item) for item in line} == {id(item) for item in waiting}
        assert line.waiting(path[:1]) == sum(item.path[0] == path[0] for item in waiting)
    for item in serving:
        line.finish(item)
    serve(line, len(waiting))
    assert_empty(line)


@given(st.lists(PATHS, max_size=40), st.integers(0, 3))
def test_all_that_wait_at_one_level_are_served_equally_often(paths: list[Path], level: int) -> None:
    """While two children of one agent both wait, neither is served twice in a row."""
    line = queue()
    add(line, *paths)
    left = Counter(path[: n + 1] for path in paths for n in range(len(path)))
    last: dict[Path, Path] = {}
    for path in serve(line, len(paths)):
        if len(path) > level:
            parent, child = path[:level], path[: level + 1]
            others = [
                other
                for other in left
                if left[other] and other[:level] == parent and len(other) == level + 1
            ]
            if len(others) > 1:
                assert last.get(parent) != child
            last[parent] = child
        else:
            last.pop(path, None)
        for n in range(len(path)):
            left[path[: n + 1]] -= 1


# where a principal stands


@pytest.mark.parametrize(
    ("kind", "ancestors", "family", "path"),
    [
        (Kind.AGENT, (3,), 0, (9,)),  # spawned by an operator
        (Kind.AGENT, (5, 3), 5, (5, 9)),
        (Kind.AGENT, (7, 6, 5, 3), 5, (5, 6, 7, 9)),
        (Kind.OPERATOR, (), 0, (OPERATORS, 9)),
        (Kind.GUEST, (), -1000, (-1000, 9)),
        (Kind.AGENT, (5, 4), -1000, (-1000, 4, 5, 9)),  # of a guest
    ],
)
def test_the_path_of_a_principal_begins_with_its_family_and_ends_with_itself(
    kind: Kind, ancestors: Path, family: int, path: Path
) -> None:
    principal = Principal(9, kind, parse("minimal"), ancestors=ancestors, family=family)
    assert principal.path == path
    assert principal.path[0] == principal.family
