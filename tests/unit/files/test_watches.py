"""What inotify says, and descriptors that are none of its."""

from __future__ import annotations

import os
import struct
from typing import Any

import pytest

from clove.errors import Unavailable
from clove.kernel.files.watches import Change, Watches, parse_changes


def message(mask: int, name: bytes = b"", size: int = 16) -> bytes:
    padded = name.ljust(size, b"\0") if name else b""
    return struct.pack("iIII", 1, mask, 0, len(padded)) + padded


def test_messages_are_read_one_after_the_other() -> None:
    data = message(0x100, b"new") + message(0x40000200, b"gone") + message(0x4000) + message(0x8000)
    assert list(parse_changes(data)) == [
        Change("created", "new"),
        Change("removed", "gone"),
        Change("lost", ""),
        Change("gone", ""),
    ]


def test_a_name_that_is_no_unicode_is_escaped() -> None:
    assert list(parse_changes(message(0x100, b"\xff"))) == [Change("created", "\\xff")]


@pytest.mark.parametrize("cut", range(16))
def test_a_message_that_is_cut_off_is_left_out(cut: int) -> None:
    assert list(parse_changes(message(0x100, b"a") + message(0x200)[:cut])) == [
        Change("created", "a")
    ]


def test_another_descriptor_is_closed_and_refused() -> None:
    class Reactor:
        def removeReader(self, reader: Any) -> None: ...

    ours, theirs = os.pipe()
    watches = Watches(Reactor(), 2, os.close)
    with pytest.raises(Unavailable, match="something else"), watches.held(1, ours):
        raise AssertionError("it was taken")
    with pytest.raises(BrokenPipeError):
        os.write(theirs, b"x")
    os.close(theirs)
