"""Very many keys are in many dictionaries, which none can tell from one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from clove.kernel.state import StateLimits, StateStore
from clove.kernel.state.key_table import LARGE, PARTS, KeyTable, table_for
from clove.sharing.shares import ShareLimits

MANY = 20 * PARTS


def test_it_is_what_a_dictionary_is() -> None:
    table: Any = KeyTable()
    assert not table
    for number in range(MANY):
        table[f"key-{number}"] = number
    assert len(table) == MANY
    assert table
    table["key-3"] = "another"
    assert (table.get("key-3"), table["key-4"], table.get("none")) == ("another", 4, None)
    assert [table.pop(f"key-{number}") for number in range(5, MANY)] == list(range(5, MANY))
    assert len(table) == 5
    with pytest.raises(KeyError):
        table.pop("key-7")


def test_none_of_its_dictionaries_has_many_of_the_keys() -> None:
    table: Any = KeyTable()
    for number in range(MANY):
        table[f"key-{number}"] = number
    assert max(map(len, table._parts)) < MANY / 10


def test_a_table_that_stays_small_is_one_dictionary() -> None:
    assert table_for(LARGE) is dict
    assert table_for(LARGE + 1) is KeyTable
    assert table_for(StateLimits().max_keys) is dict


def test_a_store_with_raised_limits_keeps_lists_and_forgets_keys() -> None:
    most = {"max_keys": 2 * LARGE, "max_agent_keys": 2 * LARGE}
    shares = ShareLimits(family=1, family_memory=1, operators=0)
    store = StateStore(Clock(), StateLimits(**most), shares=shares)
    for number in range(MANY):
        store.store(1, f"key-{number:04}", Raw(b"1"), "agent" if number % 2 else "global")
    assert store.keys(1, "key-000") == ([f"key-000{number}" for number in range(10)], False)
    assert store.delete(1, "key-0001")
    assert store.fetch(1, "key-0001") is None
    assert store.fetch(1, "key-0002") is not None
    store.close(1)
    assert store.fetch(1, "key-0003") is None
    assert len(store._spaces.shared["global"].entries) == MANY // 2
