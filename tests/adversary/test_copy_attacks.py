"""What an agent, or whatever answers in its stead, tries with `clove cp` (attack row: cp)."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.cli.console import Console
from clove.cli.transfer import DEEPEST, Bounds, Transfer
from clove.errors import CloveError, InvalidRequest, LimitExceeded, NotFound

NO_BOUNDS = Bounds()


class Hostile:
    """A kernel that lists what it likes.

    @ivar tree: names in a directory by its path, with their kinds.
    @ivar before_read: called before a file is read: the moment for exchanges.
    """

    def __init__(self, tree: dict[str, list[tuple[str, str]]]) -> None:
        self.tree = tree
        self.before_read: Callable[[str], None] = lambda path: None

    def list_directory(self, path: str, **_: Any) -> dict[str, Any]:
        if path not in self.tree:
            raise NotFound(path)
        entries = [{"name": name, "kind": kind, "escaped": False} for name, kind in self.tree[path]]
        return {"entries": entries, "hidden": 0, "more": False, "truncated": False}

    def read_file(self, path: str, *, offset: int, **_: Any) -> dict[str, Any]:
        self.before_read(path)
        return {"content": base64.b64encode(b"" if offset else b"theirs").decode(), "size": 6}


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "target").mkdir()
    yield tmp_path / "target"
    assert (tmp_path / "kept").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) in (["kept", "target"], ["elsewhere", "kept", "target"])


def fetch(kernel: Hostile, ours: Path, bounds: Bounds = NO_BOUNDS) -> Transfer:
    client: Any = kernel
    transfer = Transfer(Console(None, True), client, "agent", bounds)
    directory = os.open(ours, os.O_RDONLY)
    try:
        transfer.fetch("top", "directory", directory, "top")
    finally:
        os.close(directory)
    return transfer


@pytest.mark.parametrize("name", ["..", ".", "", "../kept", "/etc/passwd", "a/b", "a\0b"])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_name_is_one_component(ours: Path, name: str, kind: str) -> None:
    transfer = fetch(Hostile({"top": [(name, kind), ("good", "file")]}), ours)
    assert os.listdir(ours / "top") == ["good"]
    assert (transfer.copied, transfer.left_out) == (1, 1)


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "device", "special", "unheard-of"])
def test_what_is_no_file_is_not_made(ours: Path, kind: str) -> None:
    transfer = fetch(Hostile({"top": [("x", kind)]}), ours)
    assert os.listdir(ours / "top") == []
    assert transfer.left_out == 1


def test_a_link_that_appears_meanwhile_is_not_followed(ours: Path) -> None:
    kernel = Hostile({"top": [("x", "file")]})
    kernel.before_read = lambda _: _planted(ours / "top/x", ours.parent / "kept")
    with pytest.raises(OSError, match="symbolic"):
        fetch(kernel, ours)


def _planted(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


def test_a_directory_that_becomes_a_link_is_not_gone_into(ours: Path) -> None:
    (ours.parent / "elsewhere").mkdir()
    (ours / "top").mkdir()
    (ours / "top/sub").symlink_to(ours.parent / "elsewhere")
    with pytest.raises(OSError, match="directory"):
        fetch(Hostile({"top": [("sub", "directory")], "top/sub": [("x", "file")]}), ours)
    assert os.listdir(ours.parent / "elsewhere") == []


def test_a_fifo_that_lies_here_holds_nothing_up(ours: Path) -> None:
    (ours / "top").mkdir()
    os.mkfifo(ours / "top/x")
    with pytest.raises((OSError, InvalidRequest)):
        fetch(Hostile({"top": [("x", "file")]}), ours)


def test_directories_without_end_come_to_one(ours: Path) -> None:
    class Endless(Hostile):
        def list_directory(self, path: str, **_: Any) -> dict[str, Any]:
            entry = {"name": "d", "kind": "directory", "escaped": False}
            return {"entries": [entry], "hidden": 0, "more": False, "truncated": False}

    transfer = fetch(Endless({}), ours)
    assert transfer.left_out == 1
    depth, here = 0, ours / "top"
    while (here := here / "d").exists():
        depth += 1
    assert depth < DEEPEST + 1


class Swelling(Hostile):
    """Files that say a size, and go on for ever."""

    size = 0

    def read_file(self, path: str, *, offset: int, **_: Any) -> dict[str, Any]:
        return {"content": base64.b64encode(b"x" * 100).decode(), "size": self.size}


def test_a_file_without_end_comes_to_one_and_leaves_no_half(ours: Path) -> None:
    with pytest.raises(LimitExceeded, match="over 1000"):
        fetch(Swelling({"top": [("x", "file"), ("y", "file")]}), ours, Bounds(size=1000))
    assert os.listdir(ours / "top") == []


def test_a_file_that_grows_is_copied_to_where_it_ended_at_first(ours: Path) -> None:
    kernel = Swelling({"top": [("x", "file")]})
    kernel.size = 300
    assert fetch(kernel, ours).size == 300
    assert (ours / "top/x").stat().st_size == 300


def test_a_file_that_says_more_than_there_is_room_for_is_not_begun(ours: Path) -> None:
    kernel = Swelling({"top": [("x", "file")]})
    kernel.size = 1 << 62
    with pytest.raises(LimitExceeded, match="over 16G"):
        fetch(kernel, ours)
    with pytest.raises(LimitExceeded, match="are free here"):
        fetch(kernel, ours, Bounds(size=1 << 63))
    assert os.listdir(ours / "top") == []


def test_names_without_end_come_to_one(ours: Path) -> None:
    kernel = Hostile({"top": [(f"x{number}", "file") for number in range(100)]})
    with pytest.raises(LimitExceeded, match="more than 10 files"):
        fetch(kernel, ours, Bounds(names=10))
    assert len(os.listdir(ours / "top")) == 9


def test_a_file_that_was_there_stays_when_a_copy_of_it_fails(ours: Path) -> None:
    (ours / "top").mkdir()
    (ours / "top/x").write_text("before")
    with pytest.raises(LimitExceeded):
        fetch(Swelling({"top": [("x", "file")]}), ours, Bounds(size=1000))
    assert (ours / "top/x").exists()


def test_an_error_of_one_file_is_told_and_the_others_are_copied(ours: Path) -> None:
    kernel = Hostile({"top": [("bad", "file"), ("good", "file")]})

    def refuse(path: str) -> None:
        if path.endswith("bad"):
            raise CloveError("not this one")

    kernel.before_read = refuse
    transfer = fetch(kernel, ours)
    assert os.listdir(ours / "top") == ["good"]
    assert transfer.left_out == 1
