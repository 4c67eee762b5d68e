"""The one who is attached to an agent's output: it gets all of it, and no faster than it takes it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from twisted.internet.task import Clock

from clove.errors import AlreadyExists
from clove.kernel.logs.attachment import LEFT_BEHIND, MOST_PIECES, PIPE_BYTES, Attachment
from clove.kernel.logs.bypass import StartPump
from clove.kernel.logs.limits import LogLimits
from clove.kernel.logs.logbook import Logbook
from clove.sandbox.interface import REMARK
from tests.unit.logs.test_logbook import Held, Memory, Pool

ME = object()


class Reactor(Clock):
    """Writers are asked when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[Any] = set()

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def write(self) -> None:
        for writer in list(self.writers):
            writer.doWrite()


class Book:
    """A logbook, with what it reads from and what it writes to."""

    def __init__(
        self, pool: Pool | None = None, start_pump: StartPump | None = None, **limits: int
    ) -> None:
        self.reactor = Reactor()
        self.memory = Memory()
        self.source = Held()
        self.book = Logbook(
            self.memory,  # type: ignore[arg-type]
            pool or Pool(),  # type: ignore[arg-type]
            LogLimits(**limits),
            lambda: 0.0,
            reactor=self.reactor,
            start_pump=start_pump,
        )
        self.book.follow_source(self.source)

    def taken(self, since: int = 0) -> bytes:
        return b"".join(part.data for part in self.book.spool.since(since, 1 << 30))


def pipes(made: Attachment) -> list[int]:
    """The descriptors, which are the test's from now on."""
    taken = [number for _, number in made.descriptors]
    made.descriptors.clear()
    return taken


def read_all(descriptor: int) -> bytes:
    """What is in a pipe now."""
    os.set_blocking(descriptor, False)
    found = b""
    while True:
        try:
            piece = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return found
        if not piece:
            return found
        found += piece


def test_output_is_not_read_while_more_waits_than_is_held() -> None:
    one = Book(held=10)
    made = one.book.attach_point.attach(ME, pipes=False)
    one.book.append_output(1, b"x" * 300)
    assert one.source.stalled == {1, 2}
    assert one.book.attach_point.take(ME, 295)
    assert one.source.stalled == set()
    assert one.taken(295) == b"x" * 5
    one.book.attach_point.detach(made)


def test_another_takes_nothing_and_cannot_attach() -> None:
    one = Book(held=10)
    made = one.book.attach_point.attach(ME, pipes=False)
    one.book.append_output(1, b"x" * 300)
    assert not one.book.attach_point.take(object(), 300)
    with pytest.raises(AlreadyExists):
        one.book.attach_point.attach(object(), pipes=False)
    assert one.taken() == b"x" * 300
    one.book.attach_point.detach(made)
    assert one.source.stalled == set()
    assert one.taken() == b"x" * 10


def test_all_output_is_kept_for_one_who_attaches_soon() -> None:
    one = Book(held=10)
    one.book.attach_point.reserve()
    one.book.append_output(1, b"x" * 300)
    assert one.source.stalled == {1, 2}
    made = one.book.attach_point.attach(ME, pipes=False)
    assert made.start == 0
    assert one.taken() == b"x" * 300
    one.reactor.advance(60)
    assert one.taken() == b"x" * 300
    one.book.attach_point.detach(made)
    assert not one.reactor.getDelayedCalls()


def test_one_who_comes_too_late_gets_what_comes_after() -> None:
    one = Book(held=10)
    one.book.attach_point.reserve()
    one.book.append_output(1, b"x" * 300)
    one.reactor.advance(10)
    assert one.source.stalled == set()
    assert one.book.attach_point.attach(ME, pipes=False).start == 300


def test_an_attachment_is_over_when_the_agent_is_and_all_is_taken() -> None:
    one = Book()
    made = one.book.attach_point.attach(ME, pipes=False)
    over: list[object] = []
    made.over.addCallback(over.append)
    one.book.append_output(1, b"last words")
    one.book.close()
    assert not over
    one.book.attach_point.take(ME, 10)
    assert over == [None]


def test_an_agent_that_has_ended_without_a_word_is_over_at_once() -> None:
    one = Book()
    one.book.attach_point.reserve()
    one.book.close()
    assert one.book.attach_point.attach(ME, pipes=False).over.called


def test_pipes_get_each_stream_by_itself_and_end_after_the_agent() -> None:
    one = Book()
    one.book.append_output(1, b"before\n")
    made = one.book.attach_point.attach(ME, pipes=True)
    out, err = pipes(made)
    one.book.append_output(1, b"out\xff\0")
    one.book.append_output(2, b"err")
    one.book.append_output(REMARK, b"clove: said\n")
    assert (read_all(out), read_all(err)) == (b"out\xff\0", b"errclove: said\n")
    one.book.append_output(1, b"last")
    one.book.close()
    assert read_all(out) == b"last"
    assert os.read(out, 1) == os.read(err, 1) == b""
    assert made.over.called
    os.close(out)
    os.close(err)


def test_a_full_pipe_stalls_its_stream_alone_and_loses_nothing() -> None:
    one = Book()
    one.book.attach_point.reserve()
    one.book.append_output(1, b"first ")
    made = one.book.attach_point.attach(ME, pipes=True)
    out, err = pipes(made)
    flood = bytes(range(256)) * (PIPE_BYTES // 256)
    one.book.append_output(1, flood)
    one.book.append_output(1, flood)
    assert one.source.stalled == {1}
    one.book.append_output(2, b"free")
    assert read_all(err) == b"free"
    found = b""
    while len(found) < 2 * len(flood) + 6:
        found += read_all(out)
        one.reactor.write()
    assert found == b"first " + flood * 2
    assert one.source.stalled == set()
    assert not one.reactor.writers
    one.book.attach_point.detach(made)
    assert os.read(out, 1) == b""
    os.close(out)
    os.close(err)


def test_what_waits_for_a_pipe_outlives_the_agent() -> None:
    one = Book()
    made = one.book.attach_point.attach(ME, pipes=True)
    out, err = pipes(made)
    flood = b"x" * (2 * PIPE_BYTES)
    one.book.append_output(1, flood)
    one.book.close()
    assert not made.over.called
    found = b""
    while not made.over.called:
        found += read_all(out)
        one.reactor.write()
    found += read_all(out)
    assert found == flood
    os.close(out)
    os.close(err)


def test_a_reader_that_goes_away_holds_nothing() -> None:
    one = Book()
    made = one.book.attach_point.attach(ME, pipes=True)
    out, err = pipes(made)
    one.book.append_output(1, b"x" * (2 * PIPE_BYTES))
    assert one.source.stalled == {1}
    os.close(out)
    one.reactor.write()
    assert one.source.stalled == set()
    one.book.append_output(1, b"more")
    one.book.append_output(2, b"err")
    assert read_all(err) == b"err"
    one.book.close()
    assert made.over.called
    os.close(err)


def test_the_kernels_own_words_do_not_pile_up_for_one_who_does_not_read() -> None:
    one = Book(held=1000)
    made = one.book.attach_point.attach(ME, pipes=False)
    for _ in range(10_000):
        one.book.append_output(REMARK, b"clove: refused a connection to a host\n")
    assert one.book.spool.untaken < 80_000
    one.reactor.advance(1)
    assert one.memory.data.count(b"\n") == 10_000
    one.book.attach_point.detach(made)


def test_a_slow_disk_holds_back_nothing_for_one_who_is_attached() -> None:
    pool = Pool(held=True)
    one = Book(pool, unwritten=10)
    one.book.append_output(1, b"first\n")
    one.book.append_output(1, b"y" * 20)
    assert one.source.told == [True]
    made = one.book.attach_point.attach(ME, pipes=False)
    assert one.source.told == [True, False]
    for _ in range(3):
        one.book.append_output(1, b"x" * 20)
    pool.go()
    one.reactor.advance(1)
    pool.go()
    assert one.memory.data == (
        b"first\n\nclove: 60 bytes came too fast to be written here\n" + b"x" * 20
    )
    assert one.source.told == [True, False]
    one.book.attach_point.detach(made)
    one.book.close()
    assert not one.reactor.getDelayedCalls()


def test_what_restarts_leave_behind_for_one_who_takes_nothing_is_bounded() -> None:
    """Each process leaves what is in its pipes, whether it may be read or not."""
    book = Book(held=1000)
    made = book.book.attach_point.attach(ME, pipes=False)
    for _ in range(100):
        book.book.append_output(1, b"x" * 100_000)
    spool = book.book.spool
    assert spool.untaken <= LEFT_BEHIND + 1000
    assert spool.since(0, 1)[0].offset == spool.first > 0
    assert book.book.attach_point.take(ME, spool.next)
    assert spool.untaken == 0
    book.book.attach_point.detach(made)


def test_and_however_short_the_pieces_are() -> None:
    book = Book(held=1000)
    made = book.book.attach_point.attach(ME, pipes=False)
    for _ in range(30_000):
        book.book.append_output(1, b"o")
        book.book.append_output(2, b"e")
    assert book.book.spool.memory < 3 * LEFT_BEHIND
    book.book.attach_point.detach(made)


@pytest.mark.parametrize(("size", "most"), [(100_000, LEFT_BEHIND), (1, MOST_PIECES)])
def test_and_so_it_is_where_one_reads_a_pipe(size: int, most: int) -> None:
    book = Book(held=1000)
    made = book.book.attach_point.attach(ME, pipes=True)
    ends = pipes(made)
    book.book.append_output(1, b"x" * (PIPE_BYTES + 1))
    for _ in range(20_000 if size == 1 else 100):
        book.book.append_output(1, b"x" * size)
    assert 0 < made.backlog(1) <= most + PIPE_BYTES
    book.book.attach_point.detach(made)
    for end in ends:
        os.close(end)
