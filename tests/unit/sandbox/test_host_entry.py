"""A name on the host: its directory is open for as long as a thread is at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.errors import Unavailable
from clove.sandbox.host_entry import HostEntry
from clove.sandbox.inside.entry import Entry, enter


class Threads:
    """Work that is done when it is told."""

    def __init__(self) -> None:
        self.work: list[Callable[[], Any]] = []

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        self.work.append(lambda: function(*args, **kwargs))
        return Deferred()


class GivenUp(Entry):
    """Its caller gives up in the middle of it."""

    __slots__ = ("close_all", "seen")

    close_all: Callable[[], None]
    seen: list[str]

    def remove(self, most: int, *, recursive: bool) -> tuple[int, bool]:
        self.close_all()
        self.seen = os.listdir(f"/proc/self/fd/{self.directory}")
        return 0, True

    def rename(self, to: Entry, *, replace: bool) -> None:
        self.close_all()
        super().rename(to, replace=replace)


def given_up(path: Path) -> GivenUp:
    found = enter(str(path), "/")
    return GivenUp(found.directory, str(path.parent), path.name)


def test_a_directory_is_closed_after_the_thread_that_works_in_it(tmp_path: Path) -> None:
    threads, entry = Threads(), given_up(tmp_path / "a")
    (tmp_path / "a").touch()
    host = HostEntry(threads, entry, "a")
    entry.close_all = host.close
    host.remove(1, recursive=True)
    [work] = threads.work
    work()
    assert entry.seen == ["a"]
    assert entry.directory == -1


def test_both_directories_of_a_move_are(tmp_path: Path) -> None:
    threads, source, target = Threads(), given_up(tmp_path / "a"), given_up(tmp_path / "b")
    (tmp_path / "a").touch()
    one, other = HostEntry(threads, source, "a"), HostEntry(threads, target, "b")

    def close_all() -> None:
        one.close()
        other.close()

    source.close_all = close_all
    one.rename(other, replace=False)
    [work] = threads.work
    work()
    assert os.listdir(tmp_path) == ["b"]
    assert (source.directory, target.directory) == (-1, -1)


def test_what_was_given_up_before_its_turn_is_not_done(tmp_path: Path) -> None:
    threads = Threads()
    (tmp_path / "a").touch()
    host = HostEntry(threads, enter(str(tmp_path / "a"), "/"), "a")
    host.remove(1, recursive=False)
    host.close()
    host.close()
    [work] = threads.work
    with pytest.raises(Unavailable):
        work()
    assert os.listdir(tmp_path) == ["a"]
