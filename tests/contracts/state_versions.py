"""What every implementation of L{IStateStore} does about versions and expiry."""

from __future__ import annotations

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from clove.errors import AlreadyExists
from tests.contracts.state_making import StateMaking, V, value

__all__ = ["VersionsContract"]


class VersionsContract(StateMaking):
    """A version never comes again, and what has expired does not exist."""

    def test_versions_count_up_in_each_space(self, clock: Clock) -> None:
        store = self.some(clock)
        assert [store.store(1, "a", V) for _ in range(3)] == [1, 2, 3]
        assert store.store(1, "a", V, "agent") == 1
        assert store.store(1, "b", V) == 1

    def test_a_version_never_comes_again(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", V)
        store.store(1, "a", V, ttl=1)
        store.delete(1, "a")
        assert store.store(1, "a", V, ttl=1) == 3
        clock.advance(1)
        assert store.store(1, "a", V) == 4

    def test_a_version_never_comes_again_when_tombstones_are_forgotten(self, clock: Clock) -> None:
        store = self.some(clock, max_tombstones=2)
        for _ in range(5):
            store.store(1, "a", V)
        for key in "abcd":
            store.store(1, key, V)
            store.delete(1, key)
        assert store.store(1, "a", V) > 6
        assert store.store(1, "never seen", V) > 1  # it might have been one of those forgotten

    def test_if_version_guards_a_store(self, clock: Clock) -> None:
        store = self.some(clock)
        with pytest.raises(AlreadyExists):
            store.store(1, "a", V, if_version=1)
        assert store.store(1, "a", V, if_version=0) == 1
        with pytest.raises(AlreadyExists) as caught:
            store.store(2, "a", Raw(b"2"), if_version=0)
        assert "version 1" in caught.value.message
        assert value(store, 1, "a") == b"1"
        assert store.store(2, "a", Raw(b"2"), if_version=1) == 2

    def test_an_expired_key_does_not_exist(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", V, ttl=5)
        clock.advance(4.9)
        assert value(store, 1, "a") == b"1"
        clock.advance(0.1)
        assert value(store, 1, "a") is None
        assert store.keys(1) == ([], False)
        assert not store.delete(1, "a")
        assert store.store(1, "a", V, if_version=0) == 2

    def test_a_store_without_ttl_makes_a_key_stay(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", V, ttl=5)
        store.store(1, "a", V)
        clock.advance(100)
        assert value(store, 1, "a") == b"1"
