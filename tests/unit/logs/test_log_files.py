"""Log files of names that no live agent has: how many stay, and whose."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, succeed

from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.log_files import LogFiles
from clove.sharing.shares import ShareLimits


class Pool:
    """Runs at once, or when told."""

    def __init__(self) -> None:
        self.held: list[tuple[Deferred[Any], Any, Any]] | None = None

    def run(self, function: Any, *args: Any) -> Deferred[Any]:
        if self.held is None:
            return succeed(function(*args))
        self.held.append((Deferred(), function, args))
        return self.held[-1][0]

    def go(self) -> None:
        assert self.held is not None
        deferred, function, args = self.held.pop(0)
        deferred.callback(function(*args))


WHOLE = ShareLimits(family=1.0, family_memory=1.0)


def logs(directory: str, shares: ShareLimits = WHOLE, **limits: int) -> tuple[LogFiles, Pool]:
    pool = Pool()
    return LogFiles(directory, cast(Any, pool), LogLimits(**limits), shares), pool


def run(files: LogFiles, name: str, family: int = 1, size: int = 10) -> None:
    """An agent comes, writes so much and goes."""
    files.open(name).append(b"x" * size)
    files.ended(name, family)


def left(directory: str) -> list[str]:
    return sorted(os.listdir(directory))


def test_the_oldest_names_go(short_dir: str) -> None:
    files, _ = logs(short_dir, names=3)
    for name in "abcde":
        run(files, name)
    assert left(short_dir) == ["c.log", "d.log", "e.log"]


def test_the_oldest_bytes_go_rotated_ones_too(short_dir: str) -> None:
    files, _ = logs(short_dir, all_files=100, file=20)
    run(files, "a", size=30)
    assert left(short_dir) == ["a.log.1"]
    run(files, "b", size=19)
    run(files, "c", size=60)
    assert left(short_dir) == ["b.log", "c.log.1"]


def test_a_name_that_comes_again_is_a_young_one(short_dir: str) -> None:
    files, _ = logs(short_dir, names=2)
    for name in ("a", "b", "a", "c"):
        run(files, name)
    assert left(short_dir) == ["a.log", "c.log"]


def test_files_of_live_agents_stay(short_dir: str) -> None:
    files, _ = logs(short_dir, names=1)
    for _ in range(2):
        files.open("live").append(b"x")
    files.ended("live", 1)
    for name in "abc":
        run(files, name)
    assert left(short_dir) == ["c.log", "live.log"]
    files.ended("live", 1)
    assert left(short_dir) == ["live.log"]


def test_one_family_cannot_take_the_room_of_others(short_dir: str) -> None:
    files, _ = logs(short_dir, ShareLimits(family=0.5, family_memory=1.0), names=6)
    run(files, "other", family=2)
    for number in range(20):
        run(files, f"n{number}", family=1)
    assert left(short_dir) == ["n17.log", "n18.log", "n19.log", "other.log"]
    files, _ = logs(short_dir, ShareLimits(family=1.0, family_memory=0.5), all_files=200)
    run(files, "other", family=2, size=50)
    for number in range(20):
        run(files, f"n{number}", family=1, size=49)
    assert "other.log" in left(short_dir)
    assert "n17.log" not in left(short_dir)


def test_what_earlier_kernels_left_counts_the_oldest_first(short_dir: str) -> None:
    for age, name in enumerate(("new.log", "new.log.1", "old.log", "older.log", "live.log")):
        path = Path(short_dir, name)
        path.write_text("x")
        os.utime(path, (1000 - age, 1000 - age))
    Path(short_dir, "notes").write_text("not a log")
    os.mkdir(f"{short_dir}/directory.log")
    files, _ = logs(short_dir, names=2)
    files.open("live")
    files.start()
    assert left(short_dir) == [
        "directory.log", "live.log", "new.log", "new.log.1", "notes", "old.log",
    ]  # fmt: skip


def test_a_name_that_is_taken_while_its_files_wait_to_be_removed_keeps_them(short_dir: str) -> None:
    files, pool = logs(short_dir, names=1)
    run(files, "a")
    pool.held = []
    files.open("b").append(b"x")
    files.ended("b", 1)
    pool.go()  # measured
    again = files.open("a")
    pool.go()  # to be removed
    again.append(b"y")
    assert left(short_dir) == ["a.log", "b.log"]
    assert Path(short_dir, "a.log").read_text() == "x" * 10 + "y"


def test_an_agent_that_says_nothing_leaves_nothing(short_dir: str) -> None:
    files, _ = logs(short_dir, names=1)
    run(files, "a")
    files.open("quiet")
    files.ended("quiet", 1)
    assert left(short_dir) == ["a.log"]


@pytest.mark.parametrize("name", ["a.log", "x.log.1", "ä b"])
def test_odd_names_are_found_again(short_dir: str, name: str) -> None:
    files, _ = logs(short_dir, names=1)
    run(files, name)
    files, _ = logs(short_dir, names=1)
    files.start()
    run(files, "other")
    assert left(short_dir) == ["other.log"]


def test_a_name_that_a_renamed_agent_writes_under_gives_the_next_a_file_of_its_own(
    short_dir: str,
) -> None:
    files, pool = logs(short_dir)
    pool.of = lambda path, bounded: pool  # type: ignore[attr-defined]
    first = files.logbook("a", 1, 7)
    files.set_aside("a")
    second = files.logbook("a", 1, 8)
    first.append_output(1, b"of the first\n")
    second.append_output(1, b"of the second\n")
    assert Path(short_dir, "a.log").read_text() == "of the first\n"
    assert Path(short_dir, "a~8.log").read_text() == "of the second\n"
    first.close()
    files.logbook("a", 1, 9).append_output(1, b"of the third\n")
    assert Path(short_dir, "a.log").read_text() == "of the first\nof the third\n"


def test_a_name_under_which_none_writes_is_not_set_aside(short_dir: str) -> None:
    files, pool = logs(short_dir)
    pool.of = lambda path, bounded: pool  # type: ignore[attr-defined]
    files.set_aside("a")
    files.logbook("a", 1, 7).append_output(1, b"x\n")
    assert left(short_dir) == ["a.log"]
