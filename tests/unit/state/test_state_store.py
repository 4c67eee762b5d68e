"""The state store in memory, at once and as one on a disk would answer; what it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from msgspec import Raw
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from clove.errors import LimitExceeded
from clove.kernel.state import IStateStore, StateLimits, StateStore
from clove.kernel.state.store import SWEEP_TURN
from clove.sharing.shares import OPERATORS, ShareLimits
from tests.contracts.answers import Slow
from tests.contracts.state import StateContract
from tests.contracts.state_making import value

WHOLE = ShareLimits(family=1, family_memory=1, operators=0)
V = Raw(b"1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestInMemory(StateContract):
    """It answers at once."""

    def make(
        self, clock: Clock, limits: StateLimits, on_changed: Callable[..., object] | None = None
    ) -> Any:
        return StateStore(clock, limits, on_changed, WHOLE)

    def test_it_answers_at_once(self, clock: Clock) -> None:
        store = self.make(clock, StateLimits())
        assert store.store(1, "a", V) == 1
        assert store.fetch(1, "a").version == 1
        assert store.keys(1) == (["a"], False)
        assert store.delete(1, "a") is True
        assert store.close(1) is None


class TestSlow(StateContract):
    """It answers a moment later."""

    def make(
        self, clock: Clock, limits: StateLimits, on_changed: Callable[..., object] | None = None
    ) -> Any:
        return Slow(clock, StateStore(clock, limits, on_changed, WHOLE))


def some(clock: Clock, **limits: float) -> StateStore:
    return StateStore(clock, StateLimits(**limits), shares=WHOLE)  # type: ignore[arg-type]


def test_provides_the_interface(clock: Clock) -> None:
    verifyObject(IStateStore, some(clock))


def test_unread_keys_are_swept(clock: Clock) -> None:
    told: list[tuple[int, str, str, str]] = []
    store = StateStore(clock, StateLimits(max_swept=2), lambda *facts: told.append(facts))
    for key in "abcde":
        store.store(1, key, V, "session", ttl=5)
    told.clear()
    clock.advance(5)
    assert store.usage.keys == 3
    clock.advance(1)
    clock.advance(1)
    assert (store.usage.keys, store.usage.size) == (0, 0)
    assert told == [(1, key, "session", "expire") for key in "abcde"]
    assert clock.getDelayedCalls() == []


def test_a_sweep_that_takes_long_lets_others_be_served(clock: Clock) -> None:
    """Hundreds of subscribers may be told of each key."""

    def tell(*facts: object) -> None:
        clock.rightNow += SWEEP_TURN * 0.6

    store = StateStore(clock, StateLimits(), tell)
    for number in range(5):
        store.store(1, str(number), V, "session", ttl=5)
    with mock.patch.object(clock, "callLater", wraps=clock.callLater) as call_later:
        clock.advance(5)
    assert [call.args[0] for call in call_later.call_args_list] == [0, 0]
    assert store.usage.keys == 0


def test_a_key_that_expires_sooner_is_swept_sooner(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "late", V, ttl=1000)
    store.store(1, "soon", V, ttl=2)
    clock.advance(2)
    assert store.usage.keys == 1


def test_a_ttl_may_be_any_number(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", V, ttl=1e308)
    store.store(1, "b", V, ttl=1e-9)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [1.0]
    clock.pump([1, 3600])
    assert store.keys(1) == (["a"], False)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [7201.0]
    store.stop()
    assert clock.getDelayedCalls() == []


def test_rewriting_a_key_that_expires_takes_no_more_room(clock: Clock) -> None:
    store = some(clock)
    for _ in range(1000):
        store.store(1, "a", V, ttl=1000)
    assert len(store._spaces.expiry) == 1
    store.stop()


def test_close_forgets_what_was_private_and_keeps_what_was_shared(clock: Clock) -> None:
    store = some(clock, max_agent_keys=2)
    store.store(1, "a", V, "agent", ttl=5)
    store.store(1, "b", V)
    store.close(1)
    store.close(1)
    assert value(store, 1, "a") is None
    assert value(store, 2, "b") == b"1"
    assert store.usage.keys == 1
    clock.advance(5)
    store.delete(2, "b")
    assert (store.usage.keys, store.usage.size) == (0, 0)
    assert clock.getDelayedCalls() == []


def test_a_family_has_its_share_of_all_keys_also_for_agents_that_are_gone(clock: Clock) -> None:
    """Else a family would fill the store by agents that come, write and end."""
    store = StateStore(clock, StateLimits(max_keys=16))
    for agent_id in range(1, 8):
        store.store(agent_id, f"a{agent_id}", V, family=1)
        store.close(agent_id)
    with pytest.raises(LimitExceeded, match="your family of agents has 7 keys, its share is 7"):
        store.store(8, "more", V, family=1)
    store.store(8, "a1", V, family=1)  # instead of what it has
    for number in range(7):
        store.store(9, f"b{number}", V, family=9)
    store.delete(9, "b0")
    store.store(9, "a1", V, family=9)
    store.store(8, "more", V, family=1)  # the other family has taken one over
    store.store(5, "mine", V, family=OPERATORS)


def test_a_family_has_its_share_of_all_bytes(clock: Clock) -> None:
    store = StateStore(clock, StateLimits(max_bytes=80_000))
    large = Raw(b'"' + b"1" * 5000 + b'"')
    for agent_id in (1, 2, 3):
        store.store(agent_id, f"a{agent_id}", large, family=1)
    with pytest.raises(LimitExceeded, match="bytes of keys, its share is 17500 of 80000"):
        store.store(4, "a4", large, family=1)
    store.store(5, "b", large, family=5)
    store.store(4, "a1", V, family=1)
    store.store(4, "a4", large, family=1)
