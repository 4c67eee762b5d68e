"""The state store: scopes, versions, expiry, and bounds that hold."""

from __future__ import annotations

from unittest import mock

import pytest
from msgspec import Raw
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from clove.errors import AlreadyExists, CloveError, InvalidRequest, LimitExceeded
from clove.kernel.shares import OPERATORS, ShareLimits
from clove.kernel.state import IStateStore, StateLimits, StateStore
from clove.kernel.state.store import SWEEP_TURN
from clove.kernel.state.usage import OVERHEAD

WHOLE = ShareLimits(family=1, family_memory=1, operators=0)
V = Raw(b"1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def some(clock: Clock, **limits: float) -> StateStore:
    return StateStore(clock, StateLimits(**limits), shares=WHOLE)  # type: ignore[arg-type]


def value(store: StateStore, agent_id: int, key: str) -> bytes | None:
    found = store.fetch(agent_id, key)
    return None if found is None else bytes(found.value)


def test_provides_the_interface(clock: Clock) -> None:
    verifyObject(IStateStore, some(clock))


def test_global_and_session_keys_are_shared(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", Raw(b'{"x": 1}'))
    store.store(1, "b", Raw(b"2"), "session")
    assert value(store, 2, "a") == b'{"x": 1}'
    assert value(store, 2, "b") == b"2"
    assert value(store, 2, "c") is None


def test_agent_keys_are_private(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", Raw(b"1"), "agent")
    store.store(2, "a", Raw(b"2"), "agent")
    assert (value(store, 1, "a"), value(store, 2, "a"), value(store, 3, "a")) == (b"1", b"2", None)
    assert store.keys(3) == ([], False)
    assert not store.delete(3, "a")
    assert not store.delete(1, "a", "global")


def test_ones_own_key_is_found_before_session_and_global(clock: Clock) -> None:
    store = some(clock)
    for number, scope in enumerate(("global", "session", "agent")):
        store.store(1, "a", Raw(b"%d" % number), scope)  # type: ignore[arg-type]
    found = []
    for _ in range(3):
        entry = store.fetch(1, "a")
        assert entry is not None
        found.append((entry.scope, bytes(entry.value)))
        assert store.delete(1, "a")
    assert found == [("agent", b"2"), ("session", b"1"), ("global", b"0")]
    assert not store.delete(1, "a")


def test_a_scope_can_be_named(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", Raw(b"0"))
    store.store(1, "a", Raw(b"1"), "agent")
    store.store(1, "b", Raw(b"1"), "agent")
    found = store.fetch(1, "a", "global")
    assert found is not None
    assert bytes(found.value) == b"0"
    assert store.keys(1, "", "global") == (["a"], False)


def test_versions_count_up_in_each_space(clock: Clock) -> None:
    store = some(clock)
    assert [store.store(1, "a", V) for _ in range(3)] == [1, 2, 3]
    assert store.store(1, "a", V, "agent") == 1
    assert store.store(1, "b", V) == 1


def test_a_version_never_comes_again(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", V)
    store.store(1, "a", V, ttl=1)
    store.delete(1, "a")
    assert store.store(1, "a", V, ttl=1) == 3
    clock.advance(1)
    assert store.store(1, "a", V) == 4


def test_a_version_never_comes_again_when_graves_are_forgotten(clock: Clock) -> None:
    store = some(clock, max_graves=2)
    for _ in range(5):
        store.store(1, "a", V)
    for key in "abcd":
        store.store(1, key, V)
        store.delete(1, key)
    assert store.store(1, "a", V) > 6
    assert store.store(1, "never seen", V) > 1  # it might have been one of those forgotten


def test_if_version_guards_a_store(clock: Clock) -> None:
    store = some(clock)
    with pytest.raises(AlreadyExists):
        store.store(1, "a", V, if_version=1)
    assert store.store(1, "a", V, if_version=0) == 1
    with pytest.raises(AlreadyExists) as caught:
        store.store(2, "a", Raw(b"2"), if_version=0)
    assert "version 1" in caught.value.message
    assert value(store, 1, "a") == b"1"
    assert store.store(2, "a", Raw(b"2"), if_version=1) == 2


def test_an_expired_key_does_not_exist(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", V, ttl=5)
    clock.advance(4.9)
    assert value(store, 1, "a") == b"1"
    clock.advance(0.1)
    assert value(store, 1, "a") is None
    assert store.keys(1) == ([], False)
    assert not store.delete(1, "a")
    assert store.store(1, "a", V, if_version=0) == 2


def test_a_store_without_ttl_makes_a_key_stay(clock: Clock) -> None:
    store = some(clock)
    store.store(1, "a", V, ttl=5)
    store.store(1, "a", V)
    clock.advance(100)
    assert value(store, 1, "a") == b"1"


def test_keys_that_nobody_reads_are_swept(clock: Clock) -> None:
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
    assert len(store._expiry) < 200
    store.stop()


def test_every_change_is_told_once(clock: Clock) -> None:
    told: list[tuple[int, str, str, str]] = []
    store = StateStore(clock, on_changed=lambda *facts: told.append(facts))
    store.store(1, "a", V)
    store.store(2, "a", V, "agent", ttl=1)
    clock.advance(1)
    store.delete(2, "a")
    store.delete(2, "a")
    assert told == [
        (1, "a", "global", "store"),
        (2, "a", "agent", "store"),
        (2, "a", "agent", "expire"),
        (2, "a", "global", "delete"),
    ]


def test_keys_are_sorted_and_each_comes_once(clock: Clock) -> None:
    store = some(clock)
    for key in ("b/2", "a", "b/1", "c", "b"):
        store.store(1, key, V)
    store.store(1, "b/1", V, "agent")
    store.store(1, "b/3", V, "session")
    assert store.keys(1, "b") == (["b", "b/1", "b/2", "b/3"], False)
    assert store.keys(1, "b/") == (["b/1", "b/2", "b/3"], False)
    assert store.keys(1, "zz") == ([], False)


def test_a_listing_is_bounded(clock: Clock) -> None:
    store = some(clock, max_listed=2, max_listed_bytes=10)
    for key in ("a", "b", "c", "d" * 9, "e" * 9):
        store.store(1, key, V)
    assert store.keys(1) == (["a", "b"], True)
    assert store.keys(1, "d") == (["d" * 9], False)
    store.store(1, "dd", V)
    assert store.keys(1, "d") == (["dd"], True)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", InvalidRequest),
        ("a\0", InvalidRequest),
        ("a\nb", InvalidRequest),
        ("\x1b[2J", InvalidRequest),
        ("\x9b", InvalidRequest),
        ("k" * 513, LimitExceeded),
    ],
)
def test_what_is_no_key(clock: Clock, key: str, error: type[CloveError]) -> None:
    with pytest.raises(error):
        some(clock).store(1, key, V)
    assert some(clock).fetch(1, key) is None


@pytest.mark.parametrize("key", ["k" * 512, "../a", "ключ", "a b", "'; DROP TABLE"])
def test_what_is_a_key(clock: Clock, key: str) -> None:
    store = some(clock)
    store.store(1, key, V)
    assert store.keys(1) == ([key], False)


def test_a_value_is_bounded(clock: Clock) -> None:
    store = some(clock, max_value_bytes=3)
    store.store(1, "a", Raw(b"123"))
    with pytest.raises(LimitExceeded):
        store.store(1, "a", Raw(b"1234"))
    assert value(store, 1, "a") == b"123"


def test_the_keys_of_one_agent_are_bounded(clock: Clock) -> None:
    store = some(clock, max_agent_keys=2)
    store.store(1, "a", V)
    store.store(1, "b", V, "agent")
    with pytest.raises(LimitExceeded):
        store.store(1, "c", V)
    store.store(1, "a", Raw(b"2"))
    store.store(2, "c", V)
    with pytest.raises(LimitExceeded):  # to overwrite it is to be charged for it
        store.store(1, "c", V)
    store.store(2, "a", V)
    store.store(1, "d", V)


def test_the_bytes_of_one_agent_are_bounded(clock: Clock) -> None:
    store = some(clock, max_agent_bytes=2 * (OVERHEAD + 11))
    store.store(1, "a", Raw(b"1" * 10))
    store.store(1, "b", Raw(b"1" * 10))
    with pytest.raises(LimitExceeded):
        store.store(1, "b", Raw(b"1" * 11))
    store.store(1, "b", Raw(b"2" * 10))
    store.delete(2, "a")
    store.store(1, "b", Raw(b"1" * 11))


def test_all_keys_together_are_bounded(clock: Clock) -> None:
    store = some(clock, max_keys=2, max_bytes=2 * OVERHEAD + 100)
    store.store(1, "a", V)
    store.store(2, "b", V)
    with pytest.raises(LimitExceeded):
        store.store(3, "c", V)
    store.store(3, "b", V)
    with pytest.raises(LimitExceeded):
        store.store(3, "b", Raw(b"1" * 100))


def test_expired_keys_make_room_at_once(clock: Clock) -> None:
    store = some(clock, max_keys=1, sweep_interval=1000.0)
    store.store(1, "a", V, ttl=1)
    clock.advance(1)
    store.store(1, "b", V)
    assert store.keys(1) == (["b"], False)
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
