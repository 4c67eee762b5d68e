"""Items in blocks are in order, whatever comes and goes, and no block is long or many are short."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clove.kernel.state import sorted_blocks
from clove.kernel.state.sorted_blocks import BLOCK, SortedBlocks

KEYS = st.text("abc", min_size=1, max_size=4)


def all_of(blocks: SortedBlocks[str]) -> list[str]:
    found: list[str] = []
    last = ""
    while page := blocks.after(last, 3):
        found += page
        last = page[-1]
    return found


def check(blocks: Any, most: int) -> None:
    sizes = [len(block) for block in blocks._blocks]
    assert all(0 < size <= most for size in sizes)
    assert all(size >= most // 2 for size in sizes[:-1]) or len(sizes) == 1
    assert blocks._lasts == [block[-1] for block in blocks._blocks]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=200), KEYS)
def test_they_are_what_a_sorted_set_would_be(changes: list[tuple[bool, str]], start: str) -> None:
    with mock.patch.object(sorted_blocks, "BLOCK", 4):
        blocks: SortedBlocks[str] = SortedBlocks()
        model: set[str] = set()
        for adds, key in changes:
            if adds and key not in model:
                blocks.add(key)
                model.add(key)
            elif not adds and key in model:
                blocks.remove(key)
                model.remove(key)
            check(blocks, 4)
        assert all_of(blocks) == sorted(model)
        assert len(blocks) == len(model)
        assert blocks.first == min(model, default=None)
        assert blocks.since(start, 1) == sorted(each for each in model if each >= start)[:1]
        assert blocks.after(start, 1) == sorted(each for each in model if each > start)[:1]
        popped: list[str] = []
        while some := blocks.pop_some(3):
            popped[:0] = some
        assert popped == sorted(model)


@pytest.mark.parametrize("order", ["up", "down", "random"])
def test_to_add_one_moves_few_others_however_many_there_are(order: str) -> None:
    blocks: SortedBlocks[str] = SortedBlocks()
    keys = [f"{number:06}" for number in range(20_000)]
    if order == "down":
        keys.reverse()
    elif order == "random":
        random.Random(1).shuffle(keys)
    for key in keys:
        blocks.add(key)
    check(blocks, BLOCK)
    for key in keys[:19_000]:
        blocks.remove(key)
    check(blocks, BLOCK)
    assert all_of(blocks) == sorted(keys[19_000:])
