"""Trees that somebody hostile has made, and their removal."""

from __future__ import annotations

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from clove import removal
from clove.removal import remove_tree


@pytest.fixture
def tree(short_dir: str) -> Path:
    """The directory to be removed; beside it lies what must stay."""
    path = Path(short_dir, "tree")
    path.mkdir()
    Path(short_dir, "precious").mkdir()
    Path(short_dir, "precious", "file").write_text("x")
    return path


def test_everything_goes_and_links_are_not_followed(tree: Path) -> None:
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/b/file").write_text("x")
    (tree / "a/link").symlink_to(tree.parent / "precious")
    (tree / "to-file").symlink_to(tree.parent / "precious/file")
    os.link(tree.parent / "precious/file", tree / "a/hard")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tree / "socket"))
    remove_tree(str(tree))
    assert os.listdir(tree.parent) == ["precious"]
    assert (tree.parent / "precious/file").read_text() == "x"
    remove_tree(str(tree))


def test_a_tree_deeper_than_any_path_goes(tree: Path) -> None:
    """3000 levels: shutil.rmtree ends with a RecursionError, and every path is too long."""
    directory = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    remove_tree(str(tree))
    assert not tree.exists()


def test_what_it_takes_of_memory_does_not_grow_with_the_tree(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent makes as many files as the disk holds, and its end must not be the kernel's."""
    monkeypatch.setattr(removal, "BATCH", 100, raising=False)
    for number in range(4000):
        (tree / f"file-{number:0200}").touch()
        (tree / f"a/{number:0200}").mkdir(parents=True)
    tracemalloc.start()
    try:
        remove_tree(str(tree))
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
    assert not tree.exists()


def test_directories_that_may_not_be_entered_go(tree: Path) -> None:
    """For root this is no obstacle, and a walk that asks for rights is not noticed."""
    (tree / "shut/inner").mkdir(parents=True)
    (tree / "shut/inner/file").write_text("x")
    (tree / "readable").mkdir()
    (tree / "readable/file").write_text("x")
    (tree / "shut/inner").chmod(0)
    (tree / "shut").chmod(0)
    (tree / "readable").chmod(0o500)
    remove_tree(str(tree))
    assert not tree.exists()


def test_what_a_crash_left_half_removed_goes(tree: Path) -> None:
    for name in (".removing-0/x", ".removing-1", "a/b/c", "a/.removing-0/d"):
        (tree / name).mkdir(parents=True)
    (tree / ".removing-2").write_text("x")
    remove_tree(str(tree))
    assert not tree.exists()


def test_a_link_in_place_of_the_tree_is_refused(tree: Path) -> None:
    tree.rmdir()
    tree.symlink_to(tree.parent / "precious")
    with pytest.raises(OSError, match="Not a directory"):
        remove_tree(str(tree))
    assert (tree.parent / "precious/file").read_text() == "x"


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_written_meanwhile_goes_as_well(
    tree: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A command that the kernel carries out may end a moment after its agent."""
    (tree / "workspace").mkdir()
    left = [*range(times)]
    remove = os.rmdir

    def written_just_before(path: str, *, dir_fd: int | None = None) -> None:
        if path == "workspace" and left:
            flags = os.O_CREAT | os.O_WRONLY
            os.close(os.open(f"{path}/late-{left.pop()}", flags, dir_fd=dir_fd))
        remove(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", written_just_before)
    remove_tree(str(tree))
    assert not tree.exists()
    assert not left


def test_one_that_is_written_to_for_ever_is_given_up(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = os.rmdir

    def written_just_before(path: str, *, dir_fd: int | None = None) -> None:
        os.close(os.open(f"{path}/late", os.O_CREAT | os.O_WRONLY, dir_fd=dir_fd))
        remove(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", written_just_before)
    with pytest.raises(OSError, match="not empty"):
        remove_tree(str(tree))
