"""Keys that many machines ask for are looked up together, a few at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.errors import Unavailable
from clove.relay.machines.keys import TOGETHER, KeyLookups


class Store:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], Deferred[dict[str, bytes | None]]]] = []

    def keys_of(self, ids: Collection[str]) -> Deferred[dict[str, bytes | None]]:
        answer: Deferred[dict[str, bytes | None]] = Deferred()
        self.asked.append((tuple(ids), answer))
        return answer

    def answer(self) -> None:
        ids, answer = self.asked.pop(0)
        answer.callback({each: each.encode() for each in ids if each != "none"})


def ask(keys: KeyLookups, name: str) -> Deferred[Any]:
    return Deferred.fromCoroutine(keys.key_of(name))


def result(found: Deferred[Any]) -> Any:
    values: list[Any] = []
    found.addBoth(values.append)
    [value] = values
    return value


def test_what_is_asked_meanwhile_waits_for_the_next_look_up() -> None:
    store = Store()
    keys = KeyLookups(store.keys_of)
    first = ask(keys, "first")
    names = [f"m{number}" for number in range(TOGETHER + 3)]
    others = [ask(keys, name) for name in names]
    assert [ids for ids, _ in store.asked] == [("first",)]
    store.answer()
    assert result(first) == b"first"
    assert [ids for ids, _ in store.asked] == [tuple(names[:TOGETHER])]
    store.answer()
    store.answer()
    assert [result(each) for each in others] == [name.encode() for name in names]
    assert not store.asked


def test_one_that_asks_while_it_is_looked_up_gets_what_is_there_afterwards() -> None:
    """A machine may be removed meanwhile."""
    store = Store()
    keys = KeyLookups(store.keys_of)
    ask(keys, "one")
    again = ask(keys, "one")
    store.answer()
    assert not again.called
    store.answer()
    assert result(again) == b"one"


def test_a_machine_that_is_not_there_has_none() -> None:
    store = Store()
    found = ask(KeyLookups(store.keys_of), "none")
    store.answer()
    assert result(found) is None


def test_each_is_told_that_the_store_does_not_answer_and_the_next_are_asked() -> None:
    store = Store()
    keys = KeyLookups(store.keys_of)
    first = ask(keys, "one")
    second = ask(keys, "two")
    store.asked.pop(0)[1].errback(Unavailable("not now"))
    with pytest.raises(Unavailable):
        result(first).raiseException()
    store.answer()
    assert result(second) == b"two"


def test_one_that_has_gone_is_not_waited_for() -> None:
    store = Store()
    keys = KeyLookups(store.keys_of)
    gone = ask(keys, "one")
    gone.cancel()
    assert result(gone).check(CancelledError)
    store.answer()
    later = ask(keys, "one")
    store.answer()
    assert result(later) == b"one"
