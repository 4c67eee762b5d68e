"""Strings are taken out of a text whole, wherever the pieces that it is read in end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clove.messages.json_text import outside_strings

PIECE = 1 << 15
AROUND_AN_END = st.integers(PIECE - 3, PIECE + 3)


@given(AROUND_AN_END, AROUND_AN_END)
def test_a_string_over_the_end_of_a_piece_is_taken_out_whole(before: int, inside: int) -> None:
    text = b"1" * before + b'"' + b"e" * inside + b'"' + b"2" * before
    assert outside_strings(text) == b"1" * before + b"2" * before


def test_a_string_that_does_not_end_is_taken_out_to_the_last_byte() -> None:
    assert outside_strings(b'[1,"' + b"e" * (3 * PIECE)) == b"[1,"


def test_an_escaped_quote_ends_no_string() -> None:
    assert outside_strings(rb'["a\"1e999",2,"\\",3]') == b"[,2,,3]"
