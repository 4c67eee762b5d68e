"""The file of the ids: nothing that happens to a kernel or its disk makes an id come again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.errors import LimitExceeded, Unavailable
from clove.kernel import id_file
from clove.kernel.id_file import AGENTS_AHEAD, BLOCK, RETRY, IdFile, Reserved


class Threads:
    """Work that is done when it is told."""

    def __init__(self) -> None:
        self.work: list[tuple[Deferred[Any], Callable[[], object]]] = []

    def run(self, function: Callable[..., object], *args: object) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.work.append((done, lambda: function(*args)))
        return done

    def do(self) -> None:
        work, self.work = self.work, []
        for done, function in work:
            try:
                done.callback(function())
            except OSError as error:
                done.errback(error)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "ids")


def opened(path: str) -> IdFile:
    ids = IdFile(path)
    ids.open()
    return ids


def running(path: str) -> tuple[IdFile, Threads, Clock]:
    ids, threads, clock = opened(path), Threads(), Clock()
    ids.start(clock, threads)  # type: ignore[arg-type]
    return ids, threads, clock


def next_ids(ids: IdFile) -> tuple[int, int, int]:
    return ids.agents.take(), ids.messages.take(), ids.audit.take_always()


def kill(ids: IdFile) -> None:
    """What SIGKILL leaves is what is on the disk."""
    os.close(ids._file)


def test_a_new_directory_begins_at_one(path: str) -> None:
    ids = opened(path)
    assert next_ids(ids) == (1, 1, 1)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(os.path.dirname(path)) == ["ids"]
    kill(ids)


def test_a_kernel_that_ends_well_skips_nothing(path: str) -> None:
    ids = opened(path)
    next_ids(ids)
    ids.finish()
    for number in (2, 3, 4):
        ids = opened(path)
        assert next_ids(ids) == (number, number, number)
        ids.finish()


def test_a_kernel_that_is_killed_skips_what_it_had_reserved(path: str) -> None:
    for number in range(4):
        ids = opened(path)
        agent, message, entry = next_ids(ids)
        assert agent == 1 + number * AGENTS_AHEAD
        assert message == entry == 1 + number * id_file.MOST_AHEAD < 2**53
        kill(ids)


def test_more_is_reserved_in_a_thread_while_there_is_some(path: str) -> None:
    ids, threads, _ = running(path)
    last = 0
    for number in range(1, 3 * AGENTS_AHEAD):
        last = ids.agents.take()
        assert last == number
        if number % 1000 == 0:
            threads.do()
    kill(ids)
    ids = opened(path)
    assert ids.agents.take() > last
    kill(ids)


def test_a_slow_disk_delays_no_request(path: str) -> None:
    ids, threads, _ = running(path)
    for _ in range(AGENTS_AHEAD):
        ids.agents.take()
    with pytest.raises(Unavailable, match="no ids for agents are reserved"):
        ids.agents.take()
    assert len(threads.work) == 1
    threads.do()
    assert ids.agents.take() == AGENTS_AHEAD + 1
    kill(ids)


def test_a_disk_that_fails_is_tried_again(path: str) -> None:
    ids, threads, clock = running(path)
    for _ in range(AGENTS_AHEAD // 2 + 1):
        ids.agents.take()
    with mock.patch("os.fdatasync", side_effect=OSError(5, "Input/output error")):
        for _ in range(3):
            ids.agents.take()
            threads.do()
            clock.advance(RETRY)
    threads.do()
    for _ in range(AGENTS_AHEAD):
        last = ids.agents.take()
    kill(ids)
    ids = opened(path)
    assert ids.agents.take() > last
    kill(ids)


@pytest.mark.parametrize("torn", [0, 1])
def test_a_copy_that_was_half_written_is_made_up_for_by_the_other(path: str, torn: int) -> None:
    """Whatever copy was being written, and however often."""
    given = 0
    for _ in range(5):
        ids = opened(path)
        agent = ids.agents.take()
        assert agent > given
        given = agent
        being_written = ids._copy
        kill(ids)
        with open(path, "r+b") as file:
            file.seek(being_written * BLOCK + 12 + torn)
            file.write(b"9")
    kill(opened(path))


def test_a_state_directory_with_a_damaged_file_is_refused(path: str) -> None:
    kill(opened(path))
    for damaged in (b"", b"x" * 2 * BLOCK, b'{"agents":1,"messages":1,"audit":1} 00000000\n'):
        Path(path).write_bytes(damaged)
        ids = IdFile(path)
        with pytest.raises(Unavailable, match="which ids were given") as caught:
            ids.open()
        assert "--state-dir" in caught.value.hint
        kill(ids)


def test_what_is_not_a_file_of_ours_is_refused(path: str) -> None:
    os.mkfifo(path)
    ids = IdFile(path)
    with pytest.raises(Unavailable):
        ids.open()
    kill(ids)
    os.unlink(path)
    os.symlink("/dev/null", path)
    with pytest.raises(OSError, match="Too many levels"):
        IdFile(path).open()


def test_the_last_id_refuses_agents_and_nothing_else(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(path, "wb") as file:
        file.write(2 * id_file._line(Reserved(agents=2**31 - 2, messages=7, audit=9)))
    ids = opened(path)
    assert [ids.agents.take(), ids.agents.take()] == [2**31 - 2, 2**31 - 1]
    with pytest.raises(LimitExceeded, match="no ids for agents left"):
        ids.agents.take()
    assert (ids.messages.take(), ids.audit.take_always()) == (7, 9)
    ids.finish()
    ids = opened(path)
    with pytest.raises(LimitExceeded, match="no ids for agents left"):
        ids.agents.take()
    assert ids.messages.take() == 8
    kill(ids)


async def test_the_end_waits_for_what_is_being_written(path: str) -> None:
    ids, threads, clock = running(path)
    for _ in range(AGENTS_AHEAD):
        last = ids.agents.take()
    ending = Deferred.fromCoroutine(ids.stop())
    assert len(threads.work) == 1
    threads.do()
    threads.do()
    await ending
    assert clock.getDelayedCalls() == []
    ids = opened(path)
    assert ids.agents.take() == last + 1
    kill(ids)
