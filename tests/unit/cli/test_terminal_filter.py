"""What of an agent's output reaches a terminal: each kind of sequence, in pieces of any size."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.cli.terminal_filter import TerminalFilter

HARMLESS = re.compile(
    r"(?:[^\x00-\x1f\x7f-\x9f]|[\t\n\r\b]|\x1b\[[0-9;:]*m|\x1b\[[012]?K|\x1b\[[0-9]{0,4}[GCD])*"
)


def shown(*pieces: bytes) -> str:
    """What is shown of bytes that come in these pieces."""
    made = TerminalFilter()
    return "".join(map(made.feed, pieces)) + made.finish()


@pytest.mark.parametrize(
    "text",
    [
        "plain\n",
        "50%\r60%",
        "a\tb",
        "ab\bc",
        "äöü €🐝",
        "\x1b[2K\rdone",
        "\x1b[10Gx",
        "\x1b[3Dx\x1b[C",
    ],
    ids=repr,
)
def test_what_passes_as_it_is(text: str) -> None:
    assert shown(text.encode()) == text


@pytest.mark.parametrize("style", ["", "0", "1;31", "38;5;8", "38;2;8;8;8", "4:3", "48;5;8;1"])
def test_styles_pass_and_are_reset_at_the_end(style: str) -> None:
    assert shown(f"\x1b[{style}mx".encode()) == f"\x1b[{style}mx\x1b[0m"


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J", "\x1b[H", "\x1b[1;1H", "\x1b[A", "\x1b[5B", "\x1b[3J", "\x1b[1S",
        "\x1b[?1049h", "\x1b[?25l", "\x1b[>4;2m", "\x1b[?4m", "\x1b[6n", "\x1b[c", "\x1b[21t",
        "\x1b[8m", "\x1b[1;8m", "\x1b[08m", "\x1b[4h", "\x1b[20l", "\x1b[r", "\x1b[5i", "\x1b[3K",
        "\x1b[99999C", "\x1b[1;2G", "\x1b[ q", "\x1b[!p", "\x1b[1 m", "\x1b[" + "0;" * 40 + "m",
        "\x1b]0;title\x07", "\x1b]52;c;aGk=\x1b\\", "\x1b]8;;http://evil\x1b\\", "\x9d0;title\x9c",
        "\x1bP+q544e\x1b\\", "\x1b_picture\x1b\\", "\x1b^private\x1b\\", "\x1bXstring\x1b\\",
        "\x1bc", "\x1b7", "\x1b8", "\x1bM", "\x1b(0", "\x1b#8", "\x1b%G", "\x1b=", "\x1b>",
        "\x07", "\0", "\x0b", "\x0c", "\x0e", "\x0f", "\x05", "\x7f", "\x84", "\x85", "\x9b2J",
        "\u202e", "\u2066", "\u200f", "\u2028",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_left_out_with_all_that_belongs_to_it(sequence: str) -> None:
    assert shown(f"a{sequence}b".encode()) == "ab"


def test_a_string_that_has_no_end_hides_no_more_than_its_line() -> None:
    assert shown(b"a\x1b]0;never ended\nnext\n") == "a\nnext\n"


def test_bytes_that_are_no_utf_8_are_shown_as_such() -> None:
    assert shown(b"\xff\xfe\x9bend\xc3") == "\ufffd\ufffd\ufffdend\ufffd"


def test_a_sequence_within_another_is_judged_by_itself() -> None:
    assert shown(b"\x1b[\x1b[2Jx\x1b\x1b[31my") == "x\x1b[31my\x1b[0m"


@given(st.binary(max_size=60), st.integers(0, 60))
def test_it_makes_no_difference_where_bytes_are_cut(data: bytes, at: int) -> None:
    assert shown(data) == shown(data[:at], data[at:])


@given(st.text(alphabet="\x1b[]0;8?>mKGHJhP\\\x07\n\r\x9b\x9d\x9c ab", max_size=60))
def test_nothing_comes_out_but_what_the_page_lists(text: str) -> None:
    assert HARMLESS.fullmatch(shown(text.encode()))
