"""Every member of a round is asked once in each, a slice of them at a time."""

from __future__ import annotations

from collections import Counter

from clove.relay.hub.rounds import Rounds


def asked(rounds: Rounds[str], times: int = 1) -> Counter[str]:
    found: Counter[str] = Counter()
    for _ in range(times * len(rounds)):
        found.update(rounds.next_slice())
    return found


def test_each_is_asked_once_in_a_round() -> None:
    rounds: Rounds[str] = Rounds(10)
    for number in range(200):
        rounds.put(f"m{number}", f"m{number}")
    assert asked(rounds) == {f"m{number}": 1 for number in range(200)}
    assert set(asked(rounds, 3).values()) == {3}


def test_no_slice_has_most_of_them() -> None:
    rounds: Rounds[int] = Rounds(10)
    for number in range(1000):
        rounds.put(number, number)
    assert max(len(rounds.next_slice()) for _ in range(10)) == 100


def test_another_takes_the_place_of_one_with_its_key() -> None:
    rounds: Rounds[str] = Rounds(7)
    rounds.put("one", "old")
    rounds.put("one", "new")
    assert asked(rounds) == {"new": 1}


def test_what_has_ended_is_asked_no_more() -> None:
    rounds: Rounds[str] = Rounds(7)
    rounds.put("one", "one")
    rounds.discard("one")
    rounds.discard("one")
    assert not asked(rounds)
