"""Bytes for a descriptor that wait until it takes them: real pipes, and a reactor whose turns the test makes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.errors import Unavailable
from clove.kernel.queued_writer import QueuedWriter
from tests.unit.kernel.writer_turns import Reactor, failure

UNREAD = "nothing reads it"


class Pipe:
    """A pipe with such a writer.

    @ivar finished: descriptors that were finished, and whether they were open then.
    """

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.reader, end = os.pipe()
        self.finished: list[tuple[int, bool]] = []
        self.writer = QueuedWriter(self.reactor, end, "test", UNREAD, self._finish)

    def _finish(self, descriptor: int) -> None:
        self.finished.append((descriptor, os.path.exists(f"/proc/self/fd/{descriptor}")))

    def close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.writer.end("the test is over")
    made.close_reader()


def test_a_write_fires_when_all_of_it_is_taken(pipe: Pipe) -> None:
    taken = pipe.writer.write(b"x" * 100_000)
    pipe.reactor.turn()
    assert not taken.called
    found = os.read(pipe.reader, 1 << 20)
    pipe.reactor.turn()
    assert taken.called
    assert found + os.read(pipe.reader, 1 << 20) == b"x" * 100_000
    assert not pipe.reactor.writers


def test_writes_stay_in_their_order(pipe: Pipe) -> None:
    writes = [pipe.writer.write(data) for data in (b"one ", b"two ", b"three")]
    pipe.reactor.turn()
    assert all(write.called for write in writes)
    assert os.read(pipe.reader, 100) == b"one two three"


def test_what_is_given_up_is_not_written(pipe: Pipe) -> None:
    first, second, third = (pipe.writer.write(data) for data in (b"one", b"two", b"three"))
    second.cancel()
    second.addErrback(lambda failed: failed.trap(CancelledError))
    pipe.reactor.turn()
    assert (first.called, third.called) == (True, True)
    assert os.read(pipe.reader, 100) == b"onethree"


def test_without_a_reader_what_waits_and_what_comes_later_fails(pipe: Pipe) -> None:
    pipe.close_reader()
    waiting = [pipe.writer.write(b"lost"), pipe.writer.write(b"as well")]
    pipe.reactor.turn()
    assert [failure(each) for each in waiting] == [UNREAD] * 2
    assert not pipe.reactor.writers
    with pytest.raises(Unavailable, match=UNREAD):
        pipe.writer.write(b"more")


def test_the_reactor_may_be_the_first_to_say_that_nothing_reads(pipe: Pipe) -> None:
    waiting = pipe.writer.write(b"lost")
    pipe.writer.connectionLost(None)
    assert failure(waiting) == UNREAD
    assert pipe.writer.fileno() == -1


def test_an_end_is_said_once_while_the_descriptor_is_open_and_with_its_reason(pipe: Pipe) -> None:
    descriptor = pipe.writer.fileno()
    waiting = pipe.writer.write(b"x" * 100_000)
    pipe.reactor.turn()
    for reason in ("closed", "once more"):
        pipe.writer.end(reason)
    assert pipe.finished == [(descriptor, True)]
    assert failure(waiting) == "closed"
    with pytest.raises(Unavailable, match="closed"):
        pipe.writer.check_open()


def test_one_who_is_answered_may_end_it(pipe: Pipe) -> None:
    first: Deferred[None] = pipe.writer.write(b"first")
    first.addCallback(lambda _: pipe.writer.end("enough"))
    second = pipe.writer.write(b"second")
    pipe.reactor.turn()
    assert failure(second) == "enough"
    assert os.read(pipe.reader, 100) == b"first"
    assert os.read(pipe.reader, 100) == b""
