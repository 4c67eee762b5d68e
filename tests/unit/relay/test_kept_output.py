"""What of an agent's output a relay keeps for a reader."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clove.relay.rest.kept_output import KeptOutput

HALF = 4096


def page(offset: int, *sizes: int) -> dict[str, Any]:
    """A reply of OUTPUT: pieces of these sizes, of both streams in turn."""
    data = bytes(number % 251 for number in range(offset, offset + sum(sizes)))
    names = ("stdout", "stderr")
    pieces = [{"stream": names[at % 2], "size": size} for at, size in enumerate(sizes)]
    return {"offset": offset, "data": data, "pieces": pieces, "next": offset + sum(sizes)}


def test_what_was_taken_may_be_asked_for_again_up_to_half_of_it() -> None:
    kept = KeptOutput(2 * HALF, 0)
    for number in range(8):
        kept.add(page(number * 1024, 1024))
        kept.reached(kept.next)
    assert kept.since(0, 10**6)[0].offset == 8 * 1024 - HALF
    assert sum(len(part.data) for part in kept.since(5000, 10**6)) == 8192 - 5000


def test_nothing_more_is_fetched_while_half_of_it_waits() -> None:
    kept = KeptOutput(2 * HALF, 0)
    assert kept.room == HALF
    kept.add(page(0, HALF - 100))
    assert not kept.room
    kept.reached(HALF - 100)
    assert kept.room == HALF


def test_a_gap_is_seen_by_the_offset_of_the_next_part() -> None:
    kept = KeptOutput(2 * HALF, 0)
    kept.add(page(0, 10))
    kept.add(page(50, 10))
    assert [(part.offset, part.next) for part in kept.since(5, 100)] == [(5, 10), (50, 60)]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 700))
def test_every_byte_comes_once_and_memory_is_bounded(sizes: list[int], most: int) -> None:
    kept, position, seen = KeptOutput(2 * HALF, 0), 0, b""
    whole = page(0, sum(sizes))["data"]
    for size in sizes:
        kept.add(page(kept.next, size))
        for part in kept.since(position, most):
            assert part.offset == position
            seen += part.data
            position = part.next
        kept.reached(position)
        assert position - kept.since(0, 1)[0].offset < HALF + 300
    while parts := kept.since(position, most):
        seen += b"".join(part.data for part in parts)
        position = parts[-1].next
    assert seen == whole
