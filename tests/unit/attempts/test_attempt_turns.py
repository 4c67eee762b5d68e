"""Whose attempt is next: a turn for each family, and in it for each caller."""

from __future__ import annotations

from clove.kernel.attempts.turns import Turn, Turns


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
    assert vars(turns) == vars(Turns(1, 1))
