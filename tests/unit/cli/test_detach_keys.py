"""Keys that detach, in what is typed."""

import pytest

from clove.cli.detach_keys import DEFAULT, DetachKeys, parse
from clove.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (DEFAULT, b"\x10\x11"),
        ("ctrl-@", b"\x00"),
        ("Ctrl-]", b"\x1d"),
        ("ctrl-\\", b"\x1c"),
        ("q", b"q"),
        ("ctrl-a,d", b"\x01d"),
        ("", b""),
    ],
)
def test_keys_are_named_as_they_are_pressed(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "alt-x", "ab", ",", "ä", "ctrl-p,,q"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no key is called"):
        parse(text)


def typed(keys: bytes, *pieces: bytes) -> tuple[bytes, bool]:
    looked = DetachKeys(keys)
    passed = b"".join(looked.feed(piece) for piece in pieces)
    return passed, looked.pressed


def test_all_else_is_passed_on() -> None:
    assert typed(b"\x10\x11", b"hello\r", b"\x11x") == (b"hello\r\x11x", False)


def test_the_keys_detach_wherever_pieces_end() -> None:
    assert typed(b"\x10\x11", b"a\x10\x11b") == (b"a", True)
    assert typed(b"\x10\x11", b"a\x10", b"\x11") == (b"a", True)


def test_a_key_that_was_not_the_first_of_them_is_passed_on_late() -> None:
    assert typed(b"\x10\x11", b"\x10") == (b"", False)
    assert typed(b"\x10\x11", b"\x10", b"x") == (b"\x10x", False)
    assert typed(b"\x10\x11", b"\x10", b"\x10", b"\x11") == (b"\x10", True)


def test_keys_that_repeat_are_found() -> None:
    assert typed(b"aab", b"aaab") == (b"a", True)
    assert typed(b"abac", b"ababac") == (b"ab", True)


def test_without_keys_nothing_detaches() -> None:
    assert typed(b"", b"\x10\x11") == (b"\x10\x11", False)
