"""Whose attempt is next: a turn for each family, and in it for each caller."""

from __future__ import annotations

from clove.kernel.shares import OPERATORS, ShareLimits
from clove.kernel.turns import Turn, Turns


def called(turns: Turns) -> list[Turn]:
    """All turns that come now."""
    found = []
    while (turn := turns.next()) is not None:
        found.append(turn)
    return found


def waiting(turns: Turns, *who: tuple[int, int]) -> list[Turn]:
    """Turns of these families and callers, each at the end of its line."""
    made = [Turn(*each) for each in who]
    for turn in made:
        turns.wait(turn)
    return made


def served(turns: Turns, count: int) -> list[tuple[int, int]]:
    """Families and callers in the order of their turns, one after the other."""
    order = []
    for _ in range(count):
        turn = turns.next()
        assert turn is not None
        order.append((turn.family, turn.caller))
        turns.leave(turn)
    return order


def test_so_many_at_once() -> None:
    turns = Turns(2, 2)
    first, second, third = waiting(turns, (1, 1), (2, 2), (3, 3))
    assert called(turns) == [first, second]
    turns.leave(second)
    assert called(turns) == [third]


def test_of_one_family_so_many_at_once_whoever_waits() -> None:
    turns = Turns(4, 2)
    mine = waiting(turns, (1, 1), (1, 2), (1, 3))
    assert called(turns) == mine[:2]
    other = waiting(turns, (2, 9))
    assert called(turns) == other
    turns.leave(mine[0])
    assert called(turns) == mine[2:]


def test_a_family_that_asks_much_does_not_delay_another() -> None:
    turns = Turns(1, 1)
    many = [(1, caller) for caller in range(10, 60)]
    waiting(turns, *many, (2, 2), (3, 3), (2, 2))
    assert served(turns, 5) == [(1, 10), (2, 2), (3, 3), (1, 11), (2, 2)]
    assert served(turns, 48) == many[2:]


def test_in_a_family_each_caller_has_its_turn() -> None:
    turns = Turns(1, 1)
    waiting(turns, (1, 1), (1, 1), (1, 1), (1, 2), (1, 3), (1, 2))
    assert [caller for _, caller in served(turns, 6)] == [1, 2, 3, 1, 2, 1]


def test_who_gives_up_loses_its_place_and_nobody_elses() -> None:
    turns = Turns(1, 1)
    first, second, third = waiting(turns, (1, 1), (1, 1), (2, 2))
    turns.leave(first)
    assert called(turns) == [second]
    turns.leave(third)
    turns.leave(second)
    assert called(turns) == []
    assert not len(turns)
    assert (turns._lines._lines, turns._under_way, turns._of_family) == ({}, set(), {})


def test_operators_have_turns_of_their_own_and_need_wait_for_no_family() -> None:
    turns = Turns(4, 2, 1)
    waiting(turns, (1, 1), (1, 2), (2, 2), (2, 3))
    assert [turn.family for turn in called(turns)] == [1, 2, 1]
    operators = waiting(turns, (OPERATORS, 5), (OPERATORS, 6))
    assert called(turns) == operators[:1]
    turns.leave(operators[0])
    assert called(turns) == operators[1:]


def test_operators_alone_may_have_every_turn() -> None:
    turns = Turns(4, 2, 1)
    waiting(turns, *[(OPERATORS, caller) for caller in range(6)])
    assert len(called(turns)) == 4


def test_it_is_known_how_many_wait() -> None:
    turns = Turns(1, 1)
    waiting(turns, (1, 1), (1, 1), (1, 2), (2, 2))
    turns.next()
    assert (len(turns), turns.of(1), turns.of(1, 1), turns.of(2)) == (3, 2, 1, 1)


def test_turns_are_divided_as_shares_are() -> None:
    turns = Turns.shared(8, ShareLimits())
    waiting(turns, *[(family, 1) for family in (1, 2) for _ in range(9)])
    assert sorted(turn.family for turn in called(turns)) == [1, 1, 1, 1, 2, 2, 2]
    waiting(turns, (OPERATORS, 1))
    assert [turn.family for turn in called(turns)] == [OPERATORS]
