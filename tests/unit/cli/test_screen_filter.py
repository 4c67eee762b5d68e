"""What passes from a program on a terminal to the user's, and what does not."""

import itertools

import pytest

from clove.cli.screen_filter import ScreenFilter

PASSES = [
    "plain text, ümläute, 日本語, 😀\r\n\t\b\x07",
    "\x1b[1;31mred\x1b[0m",
    "\x1b[38:2::10:20:30m\x1b[4:3m",
    "\x1b[2J\x1b[H\x1b[10;20Hthere\x1b[K\x1b[3A\x1b[5X\x1b[2L",
    "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1006;1000h",
    "\x1b7\x1b8\x1bM\x1b=\x1b>\x1b(0qqq\x1b(B\x0e\x0f",
    "\x1b[1;20r\x1b[4h\x1b[s\x1b[u\x1b[!p\x1b[2 q",
    "\x1b[c\x1b[>c\x1b[6n\x1b[?2026$p\x1b[18t",
    "\x1b[>4;2m\x1b[>1u",
    "\x1b]8;;https://example.org/a?b=c\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]10;?\x1b\\\x1b]4;1;rgb:ff/00/00\x1b\\",
]
LEFT_OUT = [
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]52;c;?\x1b\\",
    "\x1b]9;notify\x07",
    "\x1b]777;notify;a;b\x07",
    "\x1b]1337;File=name=x;inline=1:AAAA\x07",
    "\x1b]50;font\x07",
    "\x1b]7;file://host/\x07",
    "\x1b]8;;file:///etc/passwd\x1b\\",
    "\x1b]8;;javascript:x\x1b\\",
    "\x1b]4;1;\x01\x07",
    "\x1bP$q\x22p\x1b\\",
    "\x1bPtmux;\x1b\x1b]52;c;AAAA\x07\x1b\\",
    "\x1bP1;1|17/414243\x1b\\",
    "\x1b_Gf=100;AAAA\x1b\\",
    "\x1b^private\x1b\\",
    "\x1bXstring\x1b\\",
    "\x1b[2h",
    "\x1b[12l",
    "\x1b[?2l",
    "\x1b[?9001h",
    "\x1b[?2048;2031h",
    "\x1b[?02004h",
    "\x1b[?2004:1h",
    "\x1b[=4h",
    "\x1b[?1000s",
    "\x1b[?1000r",
    "\x1b[5n",
    "\x1b[21t",
    "\x1b[3;0;0t",
    "\x1b[>1t",
    "\x1b[5i",
    "\x1b[?4i",
    "\x1b[1;1;1;1;10;10*y",
    "\x1b[1;1;10;10;1;1;1$v",
    "\x1b#8",
    "\x1b%@",
    "\x1bZ",
    "\x1b[1\x24~",
    "\x05",
    "\x00",
    "\x9b",
    "\x7f",
]


def whole(text: str) -> str:
    return ScreenFilter().feed(text.encode(), end=True).decode()


@pytest.mark.parametrize("text", PASSES)
def test_what_stays_in_the_window_passes(text: str) -> None:
    assert whole(text) == text


@pytest.mark.parametrize("text", LEFT_OUT)
def test_what_reaches_beyond_it_is_left_out(text: str) -> None:
    assert "evil" not in whole(text)
    shown = whole(f"before{text}after")
    assert shown.startswith("before")
    assert shown.endswith("after")
    assert "\x1b" not in shown
    if "tmux" not in text:
        assert shown == "beforeafter"


@pytest.mark.parametrize("text", [*PASSES, *LEFT_OUT])
def test_pieces_do_not_matter(text: str) -> None:
    data = f"a{text}b".encode()
    expected = whole(f"a{text}b")
    for cut in range(len(data)):
        filtered = ScreenFilter()
        parts = filtered.feed(data[:cut]) + filtered.feed(data[cut:], end=True)
        assert parts.decode() == expected, cut
    filtered = ScreenFilter()
    single = [filtered.feed(bytes([byte])) for byte in data]
    assert b"".join([*single, filtered.feed(b"", end=True)]).decode() == expected


def test_titles_are_short_and_printable() -> None:
    assert whole("\x1b]0;a\u202eb\nc" + "x" * 500 + "\x07") == "\x1b]0;abc" + "x" * 197 + "\x1b\\"


def test_bytes_that_are_no_text_show_as_such() -> None:
    assert ScreenFilter().feed(b"a\xffb\x9bc", end=True).decode() == "a\ufffdb\ufffdc"


def test_a_string_without_an_end_is_not_kept() -> None:
    """Nor shown: what comes behind it is part of it until it ends."""
    filtered = ScreenFilter()
    for _ in range(1000):
        assert filtered.feed(b"\x1b]0;" + b"x" * 10_000) == b""
        assert len(filtered._left) < 20_000
    assert filtered.feed(b"\x07shown") == b"shown"


def test_a_sequence_without_an_end_is_not_kept() -> None:
    filtered = ScreenFilter()
    filtered.feed(b"\x1b[" + b"1;" * 10_000)
    assert filtered.feed(b"mshown").endswith(b"shown")


def test_what_a_program_changed_is_undone() -> None:
    filtered = ScreenFilter()
    filtered.feed(b"\x1b[?1049;2004h\x1b[?25l\x1b[?1000h\x1b[?1000l\x1b[>1u")
    undone = filtered.reset()
    for sequence in (b"\x1b[?1049l", b"\x1b[?2004l", b"\x1b[?25h", b"\x1b[<99u", b"\x1b[m"):
        assert sequence in undone
    assert b"1000" not in undone
    assert b"1049" not in filtered.reset()


def test_keys_colours_and_margins_are_undone_too() -> None:
    filtered = ScreenFilter()
    assert filtered.reset() == b"\x1b[m\x1b(B\x0f\x1b>"
    filtered.feed(b"\x1b[=31u\x1b[4h\x1b[5;9r\x1b[6 q\x1b]11;#000\x07\x1b]4;1;red\x07\x1b]10;?\x07")
    undone = filtered.reset()
    for sequence in (
        b"\x1b[=0u",
        b"\x1b[4l",
        b"\x1b[r",
        b"\x1b[0 q",
        b"\x1b]111\x1b\\",
        b"\x1b]104\x1b\\",
    ):
        assert sequence in undone
    assert filtered.reset() == b"\x1b[m\x1b(B\x0f\x1b>"


def test_modes_that_are_known_pass_beside_others() -> None:
    assert whole("\x1b[?1049;2;25;9001h") == "\x1b[?1049;25h"


def test_any_bytes_give_only_known_sequences() -> None:
    alphabet = [b"\x1b", b"[", b"]", b"P", b"5", b";", b"?", b"i", b"t", b"m", b"\x07", b"\\", b"$"]
    for piece in itertools.product(alphabet, repeat=4):
        shown = ScreenFilter().feed(b"\x1b" + b"".join(piece), end=True)
        assert not any(shown.startswith(bad) for bad in (b"\x1bP", b"\x1b[5i", b"\x1b[5t")), piece
