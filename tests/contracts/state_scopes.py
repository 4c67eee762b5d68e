"""What every implementation of L{IStateStore} keeps in each scope, and for which agents."""

from __future__ import annotations

from msgspec import Raw
from twisted.internet.task import Clock

from clove.kernel.state import StateLimits
from tests.contracts.answers import settled
from tests.contracts.state_making import StateMaking, V, value

__all__ = ["ScopesContract"]


class ScopesContract(StateMaking):
    """What is shared is seen by all, and what is an agent's own by it alone."""

    def test_global_and_session_keys_are_shared(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", Raw(b'{"x": 1}'))
        store.store(1, "b", Raw(b"2"), "session")
        assert value(store, 2, "a") == b'{"x": 1}'
        assert value(store, 2, "b") == b"2"
        assert value(store, 2, "c") is None

    def test_agent_keys_are_private(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", Raw(b"1"), "agent")
        store.store(2, "a", Raw(b"2"), "agent")
        assert (value(store, 1, "a"), value(store, 2, "a"), value(store, 3, "a")) == (
            b"1",
            b"2",
            None,
        )
        assert store.keys(3) == ([], False)
        assert not store.delete(3, "a")
        assert not store.delete(1, "a", "global")

    def test_ones_own_key_is_found_before_session_and_global(self, clock: Clock) -> None:
        store = self.some(clock)
        for number, scope in enumerate(("global", "session", "agent")):
            store.store(1, "a", Raw(b"%d" % number), scope)
        found = []
        for _ in range(3):
            entry = store.fetch(1, "a")
            assert entry is not None
            found.append((entry.scope, bytes(entry.value)))
            assert store.delete(1, "a")
        assert found == [("agent", b"2"), ("session", b"1"), ("global", b"0")]
        assert not store.delete(1, "a")

    def test_a_scope_can_be_named(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", Raw(b"0"))
        store.store(1, "a", Raw(b"1"), "agent")
        store.store(1, "b", Raw(b"1"), "agent")
        found = store.fetch(1, "a", "global")
        assert found is not None
        assert bytes(found.value) == b"0"
        assert store.keys(1, "", "global") == (["a"], False)

    def test_every_change_is_told_once(self, clock: Clock) -> None:
        told: list[tuple[int, str, str, str]] = []
        store = self.some(clock, lambda *facts: told.append(facts))
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

    def test_keys_are_sorted_and_each_comes_once(self, clock: Clock) -> None:
        store = self.some(clock)
        for key in ("b/2", "a", "b/1", "c", "b"):
            store.store(1, key, V)
        store.store(1, "b/1", V, "agent")
        store.store(1, "b/3", V, "session")
        assert store.keys(1, "b") == (["b", "b/1", "b/2", "b/3"], False)
        assert store.keys(1, "b/") == (["b/1", "b/2", "b/3"], False)
        assert store.keys(1, "zz") == ([], False)

    def test_what_an_agent_kept_for_itself_ends_with_it(self, clock: Clock) -> None:
        store = self.some(clock)
        store.store(1, "a", Raw(b"1"), "agent")
        store.store(1, "b", Raw(b"2"))
        store.close(1)
        store.close(1)
        assert value(store, 1, "a") is None
        assert store.keys(1) == (["b"], False)
        assert value(store, 2, "b") == b"2"

    def test_what_is_asked_is_done_in_order(self, clock: Clock) -> None:
        made = self.make(clock, StateLimits())
        asked = [
            made.store(1, "a", Raw(b"1"), "agent"),
            made.fetch(1, "a"),
            made.close(1),
            made.fetch(1, "a"),
            made.store(1, "a", Raw(b"2"), "agent"),
            made.fetch(1, "a"),
        ]
        _, first, _, gone, _, second = [settled(clock, answer) for answer in asked]
        assert gone is None
        assert (bytes(first.value), bytes(second.value)) == (b"1", b"2")
