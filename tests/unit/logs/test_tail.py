"""The last lines of an output: which are held, which are lost, what they take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.logs.tail import PIECE, Tail
from clove.messages.agents import LogLine

MOST = 1 << 30

BODIES = st.lists(
    st.lists(
        st.one_of(
            st.text(max_size=6).map(lambda text: text.encode().replace(b"\n", b"")),
            st.sampled_from([b"", b"ab", "grün".encode(), "森林".encode(), b"\xff\xfe"]),
        ),
        min_size=1,
        max_size=6,
    ),
    max_size=12,
)


def _cut(line: bytes, limit: int) -> list[bytes]:
    return [line[start : start + limit] for start in range(0, len(line) or 1, limit)]


def _that_fit(lines: list[bytes], most: int, held: int) -> list[bytes]:
    """The longest end of all lines that keeps within the limits."""
    start = len(lines)
    size = 0
    while start and len(lines) - start < most and size + len(lines[start - 1]) <= held:
        start -= 1
        size += len(lines[start])
    return lines[start:]


def _offsets(lines: list[LogLine]) -> list[int]:
    return [line.offset for line in lines]


@given(BODIES, st.integers(1, 6), st.integers(0, 30), st.integers(1, 8))
def test_the_longest_end_that_fits_is_held_by_lines_and_by_bytes(
    bodies: list[list[bytes]], most: int, held: int, line: int
) -> None:
    tail = Tail(most, held, line)
    written: list[bytes] = []
    for body in bodies:
        tail.add(1, b"".join(one + b"\n" for one in body), 0.0)
        written += [piece for one in body for piece in _cut(one, line)]
        fitting = _that_fit(written, most, held)
        lines, lost = tail.since(0, MOST)
        assert [one.text for one in lines] == [one.decode("utf-8", "replace") for one in fitting]
        assert _offsets(lines) == list(range(len(written) - len(fitting), len(written)))
        assert lost == len(written) - len(fitting)
        assert tail.following == len(written)


@given(BODIES, st.integers(1, 9), st.integers(0, 40))
def test_pages_make_up_the_whole(bodies: list[list[bytes]], page: int, start: int) -> None:
    tail = Tail(20, 60, 5)
    for body in bodies:
        tail.add(2, b"".join(one + b"\n" for one in body), 0.0)
    whole, lost = tail.since(start, MOST)
    found: list[LogLine] = []
    offset = start
    while True:
        lines, missing = tail.since(offset, page)
        if offset == start:
            assert missing == lost
        if not lines:
            break
        assert len(lines) <= page
        found += lines
        offset = lines[-1].offset + 1
    assert found == whole


def test_a_piece_keeps_the_time_and_the_stream_it_came_with() -> None:
    tail = Tail(10, 100, 10)
    tail.add(1, b"out\n", 0.0)
    tail.add(2, b"err\n", 1.5)
    assert tail.since(0, MOST)[0] == [
        LogLine(offset=0, stream="stdout", text="out", timestamp="1970-01-01T00:00:00.000+00:00"),
        LogLine(offset=1, stream="stderr", text="err", timestamp="1970-01-01T00:00:01.500+00:00"),
    ]


def test_what_is_cleared_counts_as_lost_and_offsets_go_on() -> None:
    tail = Tail(10, 100, 10)
    tail.add(1, b"one\ntwo\n", 0.0)
    assert tail.memory == 8 + PIECE
    tail.clear()
    assert tail.memory == 0
    assert tail.since(0, MOST) == ([], 2)
    assert tail.since(5, MOST) == ([], 0)
    tail.add(1, b"three\n", 0.0)
    lines, lost = tail.since(0, MOST)
    assert (_offsets(lines), lost) == ([2], 2)


def test_reading_does_not_make_it_take_more_memory() -> None:
    tail = Tail(4096, 1 << 18, 8192)
    tail.add(1, b"\n" * 4096, 0.0)
    before = tail.memory
    assert len(tail.since(0, MOST)[0]) == 4096
    assert tail.memory == before == 4096 + PIECE


def test_a_flood_of_lines_is_not_looked_at_until_somebody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tail = Tail(100, 1 << 18, 8192)
    split: list[int] = []
    really = tail._split

    def watched(piece: Any) -> list[tuple[bytes, bool]]:
        split.append(piece.first)
        return really(piece)

    monkeypatch.setattr(tail, "_split", watched)
    for _ in range(50):
        tail.add(1, b"\n" * 65536, 0.0)
    assert split == []
    lines, lost = tail.since(0, MOST)
    assert split == [49 * 65536]
    assert lost == 50 * 65536 - 100
    assert _offsets(lines) == list(range(lost, 50 * 65536))
