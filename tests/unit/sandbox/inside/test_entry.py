"""Names in directories: what is changed is what was held, and no link or mount is gone through."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clove.sandbox.inside import openat2
from clove.sandbox.inside.entry import MOST_DEEP, Entry, enter, facts_of, facts_within
from clove.sandbox.inside.held_path import BadPath, resolve


@pytest.fixture(params=["openat2", "walk"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "walk":
        monkeypatch.setattr(openat2, "_found", [False])
    return Path(os.path.realpath(tmp_path))


def removed(entry: Entry, most: int = 1000, *, recursive: bool = True) -> tuple[int, bool]:
    try:
        return entry.remove(most, recursive=recursive)
    finally:
        entry.close()


def test_a_link_is_removed_and_what_it_leads_to_stays(root: Path) -> None:
    (root / "target").mkdir()
    (root / "target/kept").touch()
    (root / "link").symlink_to("target")
    assert removed(enter("link", str(root))) == (1, True)
    assert os.listdir(root) == ["target"]
    assert os.listdir(root / "target") == ["kept"]


def test_links_in_a_tree_are_not_followed(root: Path) -> None:
    (root / "outside").mkdir()
    (root / "outside/kept").touch()
    (root / "tree/sub").mkdir(parents=True)
    (root / "tree/sub/link").symlink_to(root / "outside")
    os.mkfifo(root / "tree/fifo")
    assert removed(enter("tree", str(root))) == (4, True)
    assert os.listdir(root / "outside") == ["kept"]


def test_the_directory_is_held_whatever_is_put_in_its_way(root: Path) -> None:
    (root / "mine").mkdir()
    (root / "mine/file").touch()
    (root / "theirs").mkdir()
    (root / "theirs/file").touch()
    entry = enter("mine/file", str(root))
    os.rename(root / "mine", root / "away")
    (root / "mine").symlink_to("theirs")
    assert removed(entry) == (1, True)
    assert os.listdir(root / "theirs") == ["file"]
    assert os.listdir(root / "away") == []


@pytest.mark.parametrize("path", ["/", "..", ".", "a/..", "a/.", "a/../", ""])
def test_a_path_must_end_in_a_name(root: Path, path: str) -> None:
    (root / "a").mkdir()
    with pytest.raises(BadPath):
        enter(path, str(root))


def test_what_is_below_a_file_or_nothing_is_not_there(root: Path) -> None:
    (root / "file").touch()
    with pytest.raises(NotADirectoryError):
        enter("file/x", str(root))
    with pytest.raises(FileNotFoundError):
        enter("missing/x", str(root))


def test_a_large_tree_goes_in_batches(root: Path) -> None:
    for number in range(25):
        (root / f"tree/{number}").mkdir(parents=True)
        (root / f"tree/{number}/file").touch()
    entry = enter("tree", str(root))
    total, gone, batches = 0, False, 0
    while not gone:
        count, gone = entry.remove(10, recursive=True)
        assert count <= 12
        total += count
        batches += 1
    entry.close()
    assert total == 51
    assert batches > 4
    assert os.listdir(root) == []


def test_a_tree_that_is_deeper_than_descriptors_go_is_removed_as_well(root: Path) -> None:
    nest(root, 3 * MOST_DEEP)
    before = os.listdir("/proc/self/fd")
    entry = enter("d", str(root))
    total = 0
    for _ in range(100):
        count, gone = entry.remove(50, recursive=True)
        total += count
        if gone:
            break
    entry.close()
    assert (total, os.listdir(root)) == (2 * 3 * MOST_DEEP, [])
    assert os.listdir("/proc/self/fd") == before


def nest(root: Path, depth: int) -> None:
    """Directories within each other, each with a file, and one with the name that is used for moves."""
    here = os.open(root, os.O_RDONLY)
    for number in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        name = ".clove-removed-0" if number == 0 else "file"
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_what_cannot_be_moved_up_is_an_error_and_no_descriptor_is_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nest(root, MOST_DEEP + 2)
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr("clove.sandbox.inside.entry._FREE_NAMES", 0)
    with pytest.raises(OSError, match="too deep") as caught:
        removed(enter("d", str(root)), 10_000)
    assert caught.value.errno == errno.EEXIST
    assert os.listdir("/proc/self/fd") == before
    monkeypatch.undo()
    assert removed(enter("d", str(root)), 10_000)[1]


def test_a_directory_with_something_in_it_stays_unless_asked(root: Path) -> None:
    (root / "tree").mkdir()
    (root / "tree/file").touch()
    with pytest.raises(OSError, match="not empty"):
        removed(enter("tree", str(root)), recursive=False)
    (root / "tree/file").unlink()
    assert removed(enter("tree", str(root)), recursive=False) == (1, True)


def test_nothing_is_replaced_unless_asked(root: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_text(name)
    one, two = (enter(name, str(root)) for name in ("one", "two"))
    with pytest.raises(FileExistsError):
        one.rename(two, replace=False)
    one.rename(two, replace=True)
    assert (root / "two").read_text() == "one"
    with pytest.raises(FileNotFoundError):
        facts_of(one)
    one.close()
    two.close()


def test_facts_are_of_the_link_and_of_names_without_following(root: Path) -> None:
    (root / "file").write_text("12345")
    (root / "file").chmod(0o640)
    (root / "link").symlink_to("file")
    entry = enter("link", str(root))
    assert facts_of(entry)[:2] == ["link", 4]
    assert entry.target() == "file"
    entry.close()
    held = resolve(str(root), "/")
    found = facts_within(held, ["file", "link", "gone"])
    assert found[2] is None
    assert [one and one[0] for one in found] == ["file", "link", None]
    assert found[0] is not None
    assert found[0][1:3] == [5, 0o640]
    held.close()


def with_mount(root: Path, check: Callable[[], None]) -> int:
    """Run a check in a mount namespace of its own, with `tree/mounted` a mount; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            import ctypes

            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(0x00020000) != 0 or libc.mount(None, b"/", None, 0x44000, None) != 0:
                os._exit(77)
            source, target = str(root / "granted").encode(), str(root / "tree/mounted").encode()
            if libc.mount(source, target, None, 0x1000, None) != 0:
                os._exit(77)
            check()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_no_mount_is_gone_into(tmp_path: Path) -> None:
    """A bind mount of the same file system."""
    root = Path(os.path.realpath(tmp_path))
    (root / "granted").mkdir()
    (root / "granted/kept").touch()
    (root / "tree/mounted").mkdir(parents=True)

    def check() -> None:
        with pytest.raises(OSError, match="cross-device") as caught:
            removed(enter("tree", str(root)))
        assert caught.value.errno == errno.EXDEV

    code = with_mount(root, check)
    if code == 77:
        pytest.skip("mounts cannot be made here")
    assert code == 0
    assert os.listdir(root / "granted") == ["kept"]
