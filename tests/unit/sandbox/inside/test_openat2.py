"""Resolving and holding paths, by the system call and by walking."""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clove.sandbox.inside import held_path, openat2
from clove.sandbox.inside.held_path import BadPath, Held, ProcessEntry, resolve
from clove.sandbox.inside.openat2 import MagicLink


@pytest.fixture(params=["openat2", "walk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of looking a path up."""
    if request.param == "walk":
        monkeypatch.setattr(openat2, "_found", [False])
    elif not openat2.available():
        pytest.skip("this kernel has no openat2")
    return str(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A directory, and a check that no descriptor is left."""
    root = os.path.realpath(tmp_path)
    yield Path(root)
    assert not [path for path in map(_target, os.listdir("/proc/self/fd")) if root in path]


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # the listing's own
        return ""


@pytest.fixture
def look(way: str, tree: Path) -> Iterator[Callable[[str], Held]]:
    """Resolves relative to the tree and closes at the end."""
    held: list[Held] = []

    def find(path: str) -> Held:
        held.append(resolve(path, str(tree)))
        return held[-1]

    yield find
    for one in held:
        one.close()


Look = Callable[[str], Held]


def test_a_file_is_held_with_its_facts(look: Look, tree: Path) -> None:
    (tree / "f").write_bytes(b"12345")
    os.link(tree / "f", tree / "g")
    held = look("f")
    assert (held.path, held.kind, held.size, held.links) == (str(tree / "f"), "file", 5, 2)
    assert not held.proc


def test_what_is_held_is_opened_though_its_name_now_means_another_file(
    look: Look, tree: Path
) -> None:
    (tree / "f").write_text("first")
    held = look("f")
    (tree / "f").unlink()
    (tree / "f").write_text("second")
    descriptor = held.open(os.O_RDONLY)
    assert os.read(descriptor, 99) == b"first"
    os.close(descriptor)


def test_links_to_files_and_directories_are_followed(look: Look, tree: Path) -> None:
    (tree / "real" / "deep").mkdir(parents=True)
    (tree / "real" / "deep" / "f").write_text("x")
    (tree / "d").symlink_to("real/deep")
    (tree / "l").symlink_to(tree / "d" / "f")
    assert look("l").path == look("d/f").path == str(tree / "real/deep/f")
    assert look("d/..").path == str(tree / "real")
    assert look("d/../deep/./f").kind == "file"


@pytest.mark.parametrize("path", ["d", "d/", "d/.", "d//", "./d"])
def test_directories(look: Look, tree: Path, path: str) -> None:
    (tree / "d").mkdir()
    assert (look(path).kind, look(path).path) == ("directory", str(tree / "d"))


def test_kinds_that_are_no_files_are_told_and_cannot_be_opened(look: Look, tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        directory = os.open(tree, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory}/socket")
        os.close(directory)
    for path, kind in [("fifo", "fifo"), ("socket", "socket"), ("/dev/null", "device")]:
        held = look(path)
        assert held.kind == kind
        with pytest.raises(OSError, match=kind) as caught:
            held.open(os.O_RDONLY)
        assert caught.value.errno == errno.EINVAL


def test_a_missing_name_is_held_by_its_directory_and_made_there(look: Look, tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "l").symlink_to("d")
    held = look("l/new")
    assert (held.path, held.kind, held.size) == (str(tree / "d/new"), "missing", 0)
    with pytest.raises(FileNotFoundError):
        held.open(os.O_WRONLY)
    (tree / "d").rename(tree / "moved")
    descriptor = held.open(os.O_WRONLY | os.O_CREAT)
    assert os.fstat(descriptor).st_mode & 0o777 == 0o600
    os.close(descriptor)
    assert (tree / "moved/new").exists()


def test_a_missing_name_that_has_been_taken_is_not_opened(look: Look, tree: Path) -> None:
    held = look("new")
    (tree / "new").symlink_to("/etc/hostname")
    with pytest.raises(FileExistsError):
        held.open(os.O_WRONLY | os.O_CREAT)


def test_a_link_to_nothing_holds_the_place_that_it_leads_to(look: Look, tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "l").symlink_to("m")
    (tree / "m").symlink_to(tree / "d/new")
    held = look("l")
    assert (held.path, held.kind) == (str(tree / "d/new"), "missing")


@pytest.mark.parametrize("path", ["no/x", "f/x", "missing/", "missing/.", "missing/.."])
def test_nothing_is_held_of_a_path_without_a_directory(look: Look, tree: Path, path: str) -> None:
    (tree / "f").write_text("")
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        look(path)


def test_circles_of_links_end(look: Look, tree: Path) -> None:
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:  # noqa: PT011 the number tells
        look("a")
    assert caught.value.errno == errno.ELOOP
    assert not isinstance(caught.value, MagicLink)


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/root/etc/hostname",
        "/proc/self/cwd",
        "/proc/self/exe",
        "/proc/self/fd/0",
        "/proc/thread-self/root",
        "/proc/{pid}/root/etc/hostname",
        "/dev/fd/0",
        "/dev/stdin",
        "/proc/self/ns/mnt",
        "/proc/self/task/../root/etc",
    ],
)
def test_magic_links_are_refused(look: Look, path: str) -> None:
    with pytest.raises(MagicLink) as caught:
        look(path.format(pid=os.getpid()))
    assert not isinstance(caught.value, ProcessEntry)


def test_a_link_to_a_magic_link_is_refused(look: Look, tree: Path) -> None:
    (tree / "l").symlink_to("/proc/self/root")
    with pytest.raises(MagicLink):
        look("l/etc/hostname")


def test_what_proc_says_of_the_system_is_held(look: Look) -> None:
    held = look("/proc/meminfo")
    assert (held.path, held.kind, held.proc) == ("/proc/meminfo", "file", True)


@pytest.mark.parametrize(
    "path", ["/proc/self", "/proc/self/status", "/proc/mounts", "/proc/{pid}/mem"]
)
def test_entries_of_processes_are_refused(look: Look, path: str) -> None:
    with pytest.raises(ProcessEntry):
        look(path.format(pid=os.getpid()))


@pytest.mark.parametrize("path", ["", "a\0b", "/" + "x" * 4096, "/\udc00\ud800"])
def test_what_can_be_no_path_is_refused(look: Look, path: str) -> None:
    with pytest.raises(BadPath):
        look(path)


def test_bytes_that_are_not_utf8_are_kept(look: Look, tree: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    (tree / name).write_text("x")
    assert look(name).path == str(tree / name)


def test_a_base_must_be_absolute() -> None:
    with pytest.raises(BadPath):
        resolve("x", "relative")


def test_a_deleted_file_is_not_found_but_a_name_that_looks_so_is(look: Look, tree: Path) -> None:
    (tree / "f (deleted)").write_text("here")
    assert look("f (deleted)").path == str(tree / "f (deleted)")
    descriptor = os.open(tree / "f (deleted)", os.O_PATH)
    (tree / "f (deleted)").unlink()
    with pytest.raises(FileNotFoundError):
        held_path._real_path(descriptor, "f")
    os.close(descriptor)


def test_closing_twice_is_harmless_and_nothing_opens_afterwards(look: Look, tree: Path) -> None:
    (tree / "f").write_text("")
    held = look("f")
    held.close()
    held.close()
    with pytest.raises(OSError, match="closed"):
        held.open(os.O_RDONLY)


def test_descriptors_are_not_inherited(look: Look, tree: Path) -> None:
    (tree / "f").write_text("")
    for held in (look("f"), look("new")):
        assert not os.get_inheritable(held.descriptor)
        descriptor = held.open(os.O_WRONLY | os.O_CREAT)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_many_threads_resolve_at_once(way: str, tree: Path) -> None:
    (tree / "f").write_text("x")
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                held = resolve("f", str(tree))
                os.close(held.open(os.O_RDONLY))
                held.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
