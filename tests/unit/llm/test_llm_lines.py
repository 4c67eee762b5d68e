"""Lines out of bytes, with a limit."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clove.llm.lines import LineBuffer


def test_gives_a_line_when_its_newline_comes() -> None:
    lines = LineBuffer(10)
    assert lines.feed(b"ab") == []
    assert lines.feed(b"c\nde\n\nf") == [b"abc", b"de", b""]
    assert lines.pending == 1


def test_line_at_the_limit_passes_and_one_over_it_is_none() -> None:
    assert LineBuffer(3).feed(b"abc\nabcd\nab\n") == [b"abc", None, b"ab"]


def test_over_long_line_is_told_once_and_not_kept() -> None:
    lines = LineBuffer(4)
    assert lines.feed(b"x" * 5) == [None]
    assert lines.feed(b"x" * 1000) == []
    assert lines.pending == 0
    assert lines.feed(b"x\nnext\n") == [b"next"]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8), st.integers(1, 20))
def test_pieces_make_no_difference(data: bytes, cuts: list[int], limit: int) -> None:
    data += b"\n"
    lines = LineBuffer(limit)
    got = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        got += lines.feed(data[start:end])
        assert lines.pending <= limit
    whole = data[:-1].split(b"\n")
    assert got == [one if len(one) <= limit else None for one in whole]
