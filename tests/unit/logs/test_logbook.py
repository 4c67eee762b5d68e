"""An agent's output: lines, offsets, floods, and the rotated file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs

from clove.errors import LimitExceeded
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.log_file import LogFile, unwritten_shares
from clove.kernel.logs.logbook import Logbook
from clove.kernel.logs.tail import PIECE
from clove.sandbox.taker import Taker


class Pool:
    """Runs at once, or when told."""

    def __init__(self, *, held: bool = False) -> None:
        self.held = held
        self.waiting: list[tuple[Deferred[Any], Any, Any]] = []

    def run(self, function: Any, *args: Any) -> Deferred[Any]:
        if not self.held:
            return succeed(function(*args))
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((deferred, function, args))
        return deferred

    def go(self) -> None:
        deferred, function, args = self.waiting.pop(0)
        deferred.callback(function(*args))


class Held:
    """A process whose output is read, or not."""

    def __init__(self) -> None:
        self.told: list[bool] = []
        self.stalled: set[int] = set()
        self.taker: Taker | None = None

    def hold(self, hold: bool) -> None:
        self.told.append(hold)

    def stall(self, stream: int, stall: bool) -> None:
        if stall:
            self.stalled.add(stream)
        else:
            self.stalled.remove(stream)

    def widen(self) -> None:
        """It has no pipes."""

    def read_in(self, time: object) -> None:
        """It is read when a test says so."""

    def divert(self, taker: Taker | None) -> None:
        self.taker = taker


class Memory:
    """A file that keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""

    def append(self, data: bytes) -> None:
        self.data += data


def book(pool: Pool | None = None, **limits: int) -> tuple[Logbook, Memory]:
    memory = Memory()
    made = Logbook(memory, pool or Pool(), LogLimits(**limits), lambda: 0.0)  # type: ignore[arg-type]
    return made, memory


def texts(made: Logbook, since: int = 0) -> list[str]:
    return [line.text for line in made.lines_since(since)[0]]


def test_lines_have_offsets_that_only_grow() -> None:
    made, _ = book()
    made.append_output(1, b"one\ntwo\nthr")
    made.append_output(1, b"ee\n")
    assert [(line.offset, line.text) for line in made.lines_since(0)[0]] == [
        (0, "one"),
        (1, "two"),
        (2, "three"),
    ]
    assert texts(made, 2) == ["three"]
    assert texts(made, 3) == []


def test_streams_do_not_mix_within_a_line() -> None:
    made, _ = book()
    made.append_output(1, b"out")
    made.append_output(2, b"err\n")
    made.append_output(1, b"put\n")
    assert [(line.stream, line.text) for line in made.lines_since(0)[0]] == [
        ("stderr", "err"),
        ("stdout", "output"),
    ]


def test_an_unfinished_last_line_counts_at_the_end() -> None:
    made, _ = book()
    made.append_output(1, b"no newline")
    assert texts(made) == []
    made.close()
    assert texts(made) == ["no newline"]


def test_what_is_no_longer_held_counts_as_lost() -> None:
    made, _ = book(lines=2)
    made.append_output(1, b"a\nb\nc\nd\n")
    lines, lost = made.lines_since(0)
    assert [line.text for line in lines] == ["c", "d"]
    assert lost == 2
    assert made.next_offset == 4


def test_bytes_that_are_not_utf_8_become_replacement_characters() -> None:
    made, memory = book()
    made.append_output(1, b"\xff\xfe\n")
    assert texts(made) == ["\ufffd\ufffd"]
    assert memory.data == b"\xff\xfe\n"


def test_forgotten_lines_count_as_lost_and_stay_in_the_file() -> None:
    made, memory = book()
    told: list[int] = []
    made.append_output(1, b"one\ntwo\n")
    made.watch(lambda: told.append(made.next_offset))
    made.drop_lines()
    assert made.lines_since(0) == ([], 2)
    assert made.memory == 0
    assert told == [2]
    assert memory.data == b"one\ntwo\n"


def test_a_full_disk_is_told_once_and_the_file_says_what_is_missing() -> None:
    """An agent chooses how often it writes, so it must not choose how much the kernel logs."""
    pool = Pool(held=True)
    made, memory = book(pool)
    with capturedLogs() as logged:
        for _ in range(3):
            made.append_output(1, b"lost\n")
            pool.waiting.pop(0)[0].errback(OSError(28, "No space left on device"))
        made.append_output(1, b"there\n")
        pool.go()
        made.append_output(1, b"more\n")
        pool.go()
    assert memory.data == b"\nclove: up to 15 bytes could not be written here\nthere\nmore\n"
    told = [event["log_format"].partition(",")[0] for event in logged]
    assert told == ["output of an agent cannot be logged", "output of an agent can be logged again"]
    assert texts(made) == ["lost"] * 3 + ["there", "more"]


def test_a_slow_disk_holds_the_output_back() -> None:
    pool = Pool(held=True)
    made, memory = book(pool, unwritten=10)
    source = Held()
    made.follow_source(source)
    made.append_output(1, b"first\n")
    made.append_output(1, b"x" * 20)
    assert source.told == [True]
    pool.go()
    assert source.told == [True, False]
    pool.go()
    assert memory.data == b"first\n" + b"x" * 20


def test_watchers_are_told_of_new_lines_and_of_the_end() -> None:
    made, _ = book()
    told: list[int] = []
    stop = made.watch(lambda: told.append(made.next_offset))
    made.append_output(1, b"part")
    made.append_output(1, b"ial\n")
    made.close()
    stop()
    made.append_output(1, b"more\n")
    assert told == [0, 1, 1]


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 16))
def test_nothing_grows_past_its_limits_and_the_file_has_all(pieces: list[bytes], line: int) -> None:
    made, memory = book(lines=5, held=64, line=line)
    for piece in pieces:
        made.append_output(1, piece)
    assert memory.data == b"".join(pieces)
    lines, _ = made.lines_since(0)
    assert len(lines) <= 5
    assert all(len(one.text) <= line for one in lines)
    longest = max(map(len, pieces), default=0) + line
    assert made.memory <= 2 * (64 + 5 + 2 * longest + 6 * PIECE)


def test_a_file_rotates_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = LogFile(str(path), LogLimits(file=10, files=3))
    for piece in (b"a" * 11, b"b" * 11, b"c" * 11, b"d"):
        file.append(piece)
    assert path.read_bytes() == b"d"
    assert (tmp_path / "a.log.1").read_bytes() == b"c" * 11
    assert (tmp_path / "a.log.2").read_bytes() == b"b" * 11
    assert sorted(os.listdir(tmp_path)) == ["a.log", "a.log.1", "a.log.2"]


def test_a_log_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    LogFile(str(path), LogLimits()).append(b"x")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "a.log").symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        LogFile(str(tmp_path / "a.log"), LogLimits()).append(b"x")
    assert target.read_text() == "precious"


def test_a_planted_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.log")
    with pytest.raises(OSError):  # noqa: PT011 ENXIO: nobody reads it
        LogFile(str(tmp_path / "a.log"), LogLimits()).append(b"x")


def test_a_family_with_output_that_waits_for_the_disk_is_held_back_and_no_other() -> None:
    limits = LogLimits(all_unwritten=1 << 20)  # of which a family has 256 KiB
    shares, pool = unwritten_shares(limits, None), Pool(held=True)

    def one(family: int) -> tuple[Logbook, list[bool]]:
        file: Any = Memory()
        made = Logbook(file, pool, limits, lambda: 0.0, shares, family)  # type: ignore[arg-type]
        source = Held()
        made.follow_source(source)
        made.append_output(1, b"x\n")  # begins to be written
        return made, source.told

    (first, held), (second, also_held), (other, free) = one(7), one(7), one(8)
    for book in (first, second):
        book.append_output(1, b"x" * 100_000 + b"\n")
    other.append_output(1, b"x" * 100_000 + b"\n")
    assert (held, also_held) == ([], [])
    first.append_output(1, b"x" * 100_000 + b"\n")
    assert (held, also_held, free) == ([True], [], [])
    while pool.waiting:
        pool.go()
    assert held == [True, False]
    assert shares.used == 0


def test_that_all_is_written_is_told_once_after_the_end() -> None:
    told: list[bytes] = []
    pool, memory = Pool(held=True), Memory()
    made = Logbook(
        memory,  # type: ignore[arg-type]
        pool,  # type: ignore[arg-type]
        LogLimits(),
        lambda: 0.0,
        written=lambda: told.append(memory.data),
    )
    made.append_output(1, b"one\ntw")
    made.close()
    assert told == []
    pool.go()
    assert told == []
    pool.go()
    assert told == [b"one\ntw\n"]
    made.close()
    assert len(told) == 1


def test_no_more_wait_for_output_than_may() -> None:
    made, _ = book(waiting=1)
    made.check_watchers()
    stop = made.watch(lambda: None)
    with pytest.raises(LimitExceeded, match=r"limits\.logs\.waiting|wait for this"):
        made.check_watchers()
    stop()
    made.check_watchers()
