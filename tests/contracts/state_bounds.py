"""What every implementation of L{IStateStore} takes for keys and values, and how much of them."""

from __future__ import annotations

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.kernel.state.usage import OVERHEAD
from tests.contracts.state_making import StateMaking, V, value

__all__ = ["BoundsContract"]


class BoundsContract(StateMaking):
    """Nothing grows without bound."""

    def test_a_listing_is_bounded(self, clock: Clock) -> None:
        store = self.some(clock, max_listed=2, max_listed_bytes=10)
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
    def test_what_is_no_key(self, clock: Clock, key: str, error: type[CloveError]) -> None:
        with pytest.raises(error):
            self.some(clock).store(1, key, V)
        assert self.some(clock).fetch(1, key) is None

    @pytest.mark.parametrize("key", ["k" * 512, "../a", "ключ", "a b", "'; DROP TABLE"])
    def test_what_is_a_key(self, clock: Clock, key: str) -> None:
        store = self.some(clock)
        store.store(1, key, V)
        assert store.keys(1) == ([key], False)

    def test_a_value_is_bounded(self, clock: Clock) -> None:
        store = self.some(clock, max_value_bytes=3)
        store.store(1, "a", Raw(b"123"))
        with pytest.raises(LimitExceeded):
            store.store(1, "a", Raw(b"1234"))
        assert value(store, 1, "a") == b"123"

    def test_the_keys_of_one_agent_are_bounded(self, clock: Clock) -> None:
        store = self.some(clock, max_agent_keys=2)
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

    def test_the_bytes_of_one_agent_are_bounded(self, clock: Clock) -> None:
        store = self.some(clock, max_agent_bytes=2 * (OVERHEAD + 11))
        store.store(1, "a", Raw(b"1" * 10))
        store.store(1, "b", Raw(b"1" * 10))
        with pytest.raises(LimitExceeded):
            store.store(1, "b", Raw(b"1" * 11))
        store.store(1, "b", Raw(b"2" * 10))
        store.delete(2, "a")
        store.store(1, "b", Raw(b"1" * 11))

    def test_all_keys_together_are_bounded(self, clock: Clock) -> None:
        store = self.some(clock, max_keys=2, max_bytes=2 * OVERHEAD + 100)
        store.store(1, "a", V)
        store.store(2, "b", V)
        with pytest.raises(LimitExceeded):
            store.store(3, "c", V)
        store.store(3, "b", V)
        with pytest.raises(LimitExceeded):
            store.store(3, "b", Raw(b"1" * 100))

    def test_expired_keys_make_room_at_once(self, clock: Clock) -> None:
        store = self.some(clock, max_keys=1, sweep_interval=1000.0)
        store.store(1, "a", V, ttl=1)
        clock.advance(1)
        store.store(1, "b", V)
        assert store.keys(1) == (["b"], False)
        store.stop()
