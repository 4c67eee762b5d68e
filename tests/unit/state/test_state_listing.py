"""KEYS, and the end of a space, in pieces of bounded work."""

from __future__ import annotations

from unittest import mock

import pytest
from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.kernel.loop_time import LoopTime
from clove.kernel.pieces import Pieces
from clove.kernel.state import StateLimits, StateStore
from clove.kernel.state.listing import PAGE, list_keys
from clove.kernel.state.space import Entry, Space
from clove.kernel.state.spaces import FORGOTTEN
from clove.kernel.state.store import SWEEP_TURN
from clove.sharing.shares import ShareLimits
from tests.reactor_turns import turn

WHOLE = ShareLimits(family=1, family_memory=1, operators=0)
LIMITS = StateLimits(max_keys=100_000, max_agent_keys=100_000, max_listed=100_000)
V = Raw(b"1")


def entry(expires: float = float("inf")) -> Entry:
    return Entry(V, "global", 1, 1, 1, expires, 300)


def space_of(*keys: str, expires: float = float("inf")) -> Space:
    space = Space({})
    for key in keys:
        space.add(key, entry(expires))
    space.expiring = len(keys) if expires < float("inf") else 0
    return space


def number(count: int, start: int = 0) -> list[str]:
    return [f"{each:06}" for each in range(start, start + count)]


def listed(work: Pieces[tuple[list[str], bool]]) -> tuple[list[str], bool, int]:
    """The result, and the pieces of work."""
    pieces = 0
    while True:
        pieces += 1
        try:
            next(work)
        except StopIteration as end:
            return (*end.value, pieces)


def test_a_piece_looks_at_few_keys_of_each_space() -> None:
    with mock.patch.object(Space, "after", autospec=True, side_effect=Space.after) as after:
        work = list_keys([space_of(*number(5000)), space_of(*number(9))], "", 0, LIMITS)
        seen = []
        for _ in work:
            seen.append(after.call_count)
            after.reset_mock()
    assert max(seen) == 2
    assert len(seen) >= 5000 / PAGE
    assert all(call.args[3] <= PAGE for call in after.call_args_list)


def test_keys_that_have_expired_are_pieces_of_work_too() -> None:
    """They are there until they are swept."""
    found = list_keys([space_of(*number(5000), expires=1.0)], "", 1.0, LIMITS)
    keys, truncated, pieces = listed(found)
    assert (keys, truncated) == ([], False)
    assert pieces >= 5000 / PAGE


def test_a_key_that_is_in_several_spaces_is_listed_once_and_in_its_place() -> None:
    spaces = [space_of(*number(700)), space_of(*number(900, 400)), space_of("000500", "x", "")]
    keys, truncated, _ = listed(list_keys(spaces, "", 0, LIMITS))
    assert keys == [*number(1300), "x"]
    assert not truncated


def test_a_prefix_is_found_at_once_among_many() -> None:
    space = space_of(*number(5000), "1", "2", "20", "21", "3")
    assert listed(list_keys([space], "2", 0, LIMITS)) == (["2", "20", "21"], False, 2)
    assert listed(list_keys([space], "4", 0, LIMITS)) == ([], False, 1)


def test_what_comes_and_goes_meanwhile_disturbs_nothing_else() -> None:
    keys = number(3000)
    space = space_of(*keys)
    work = list_keys([space], "", 0, LIMITS)
    next(work)
    space.remove(keys[0])
    space.add("000000a", entry())
    for key in keys[1000:2000]:
        space.remove(key)
    space.add("zzz", entry())
    found, _, _ = listed(work)
    assert found == [*keys[:1000], *keys[2000:], "zzz"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


class SlowClock(Clock):
    """Each look at it takes as long as a turn of the sweep, less a bit."""

    def seconds(self) -> float:
        self.rightNow += SWEEP_TURN * 0.6
        return super().seconds()


def store_of(clock: Clock) -> StateStore:
    time = LoopTime(clock, 0.0005, 8)
    return StateStore(clock, LIMITS, shares=WHOLE, in_turns=time.in_turns)


def test_a_long_listing_takes_several_turns() -> None:
    clock = SlowClock()
    store = store_of(clock)
    for key in number(2000):
        store.store(1, key, V)
    answer = store.keys(1)
    assert isinstance(answer, Deferred)
    results: list[tuple[list[str], bool]] = []
    answer.addCallback(results.append)
    turns = 0
    while not results:
        turns += 1
        turn(clock)
    assert results == [(number(2000), False)]
    assert turns >= 7


def test_the_end_of_an_agent_with_many_keys_takes_several_turns() -> None:
    clock = SlowClock()
    store = store_of(clock)
    for key in number(FORGOTTEN * 8):
        store.store(1, key, V, "agent", ttl=1e6)
    store.store(1, "shared", V)
    store.close(1)
    assert store.fetch(1, "000000") is None
    left = [store.usage.keys]
    while clock.getDelayedCalls():
        turn(clock)
        left.append(store.usage.keys)
    assert left[0] > FORGOTTEN * 5
    assert len(left) >= 4
    assert left[-1] == 1
    assert store.usage.size == 256 + len("shared") + 1
    assert len(store._spaces.expiry) == 0


def test_what_a_gone_agent_had_makes_room_before_a_key_is_refused(clock: Clock) -> None:
    store = StateStore(clock, StateLimits(max_keys=FORGOTTEN), shares=WHOLE)
    with mock.patch.object(store, "_tidy_soon"):
        for key in number(FORGOTTEN):
            store.store(1, key, V, "agent")
        store.close(1)
        assert store.usage.keys == FORGOTTEN
    assert store.store(2, "a", V) == 1
    assert store.usage.keys == 1
