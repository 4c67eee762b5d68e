"""The latest bytes of an output, by offset."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.logs.spool import PIECE, Spool

MOST = 1 << 30


def text(spool: Spool, since: int = 0) -> bytes:
    return b"".join(part.data for part in spool.since(since, MOST))


def test_bytes_have_offsets_over_both_streams() -> None:
    spool = Spool(1000)
    spool.add(1, b"out")
    spool.add(2, b"err")
    spool.add(1, b"put")
    assert [tuple(part) for part in spool.since(0, MOST)] == [
        (1, 0, b"out"),
        (2, 3, b"err"),
        (1, 6, b"put"),
    ]
    assert [tuple(part) for part in spool.since(4, 3)] == [(2, 4, b"rr"), (1, 6, b"p")]
    assert spool.since(9, MOST) == []
    assert spool.since(99, MOST) == []


@given(st.lists(st.tuples(st.sampled_from((1, 2)), st.binary(min_size=1, max_size=40))))
def test_no_more_is_held_than_the_limit_and_that_is_the_latest(
    pieces: list[tuple[int, bytes]],
) -> None:
    spool, whole = Spool(50), b"".join(data for _, data in pieces)
    for stream, data in pieces:
        spool.add(stream, data)
    assert text(spool) == whole[spool.first :]
    assert spool.next == len(whole)
    assert len(whole) - spool.first <= 50
    assert text(spool, len(whole) // 2) == whole[max(spool.first, len(whole) // 2) :]


def test_all_is_kept_for_a_reader_until_it_has_taken_it() -> None:
    spool = Spool(10)
    spool.keep_from(0)
    for _ in range(5):
        spool.add(1, b"x" * 300)
    assert text(spool) == b"x" * 1500
    assert (spool.untaken, spool.is_full) == (1500, True)
    spool.keep_from(1495)
    assert (spool.untaken, spool.is_full, spool.first) == (5, False, 1490)
    spool.clear()
    assert text(spool) == b"x" * 5
    spool.keep_from(None)
    assert (spool.untaken, spool.first) == (0, 1495)


def test_tiny_pieces_of_two_streams_take_no_more_memory_than_a_few_times_the_limit() -> None:
    spool = Spool(10 * PIECE)
    for number in range(10_000):
        spool.add(1 + number % 2, b"x")
    assert spool.memory <= 40 * PIECE
    assert len(text(spool)) == spool.next - spool.first
    kept = Spool(10 * PIECE)
    kept.keep_from(0)
    while not kept.is_full:
        kept.add(1 + kept.next % 2, b"x")
    assert kept.memory <= 40 * PIECE
    assert len(text(kept)) == kept.next
