"""Output that goes from pipe to pipe unread: all of it arrives, and the latest of it is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from clove.kernel.logs.attachment import PIPE_BYTES
from clove.kernel.logs.unread import ROOM, Unread
from tests.unit.logs.test_attachment import ME, Book, pipes, read_all

MIB = 1 << 20


class Flood:
    """An agent's pipe, and the attachment that its bytes go to."""

    def __init__(self) -> None:
        self.one = Book(unwritten=100_000)
        self.source, self.writer = os.pipe2(os.O_NONBLOCK)
        self.made = self.one.book.attach_point.attach(ME, pipes=True)
        self.out, self.err = pipes(self.made)
        self.got = b""

    def pass_on(self, stream: int = 1) -> bool:
        """As the reader of the pipe does when there is something in it; False: it was read."""
        taker = self.one.source.taker
        assert taker is not None
        passed = taker.pass_on(stream, self.source, MIB)
        if not passed:
            self.one.book.append_output(stream, os.read(self.source, MIB))
        return passed

    def write(self, data: bytes) -> None:
        """Write bytes, pass them on, and read them at the other end."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.writer, rest[:60_000]) :]
            self.pass_on()
            self.got += read_all(self.out)

    def close(self) -> None:
        self.one.book.attach_point.detach(self.made)
        self.one.book.close()
        for descriptor in (self.source, self.writer, self.out, self.err):
            os.close(descriptor)
        assert not self.one.reactor.getDelayedCalls()


@pytest.fixture
def flood() -> Iterator[Flood]:
    made = Flood()
    yield made
    made.close()


def test_little_output_is_kept_at_once(flood: Flood) -> None:
    flood.write(b"one\ntwo\n")
    assert flood.got == b"one\ntwo\n"
    assert flood.one.taken() == b"one\ntwo\n"
    assert [line.text for line in flood.one.book.lines_since(0)[0]] == ["one", "two"]
    flood.one.reactor.advance(1)
    assert flood.one.memory.data == b"one\ntwo\n"


def test_of_a_flood_all_arrives_and_the_last_is_kept(flood: Flood) -> None:
    data = os.urandom(3 * MIB)
    flood.write(data)
    assert flood.got == data
    spool = flood.one.book.spool
    assert spool.next == len(data)
    kept = flood.one.taken()
    assert len(kept) > ROOM // 2
    assert data.endswith(kept)
    assert spool.first == len(data) - len(kept)
    flood.one.reactor.advance(1)
    written = flood.one.memory.data
    assert written.endswith(kept)
    assert b"bytes came too fast to be written here" in written


def test_after_a_flood_all_is_kept_again(flood: Flood) -> None:
    flood.write(bytes(MIB))
    flood.one.reactor.advance(1)
    flood.write(b"\nquiet\n")
    assert flood.one.taken().endswith(b"\nquiet\n")
    assert [line.text for line in flood.one.book.lines_since(0)[0]][-1] == "quiet"
    assert flood.one.book.spool.next == MIB + 7


def test_lines_that_were_never_looked_at_count_by_their_bytes(flood: Flood) -> None:
    flood.write(b"x" * 20_000 + b"\n" + b"y\n" * MIB)
    book = flood.one.book
    first = book.spool.first
    lines, lost = book.lines_since(0)
    assert lines[0].offset == lost > 0
    assert lost >= first // 8192
    assert lines[-1].text == "y"


def test_both_streams_are_kept_in_the_order_in_which_they_came(flood: Flood) -> None:
    flood.write(bytes(MIB))
    for text in (b"a" * 20_000, b"b" * 20_000, b"c" * 500):
        os.write(flood.writer, text)
        flood.pass_on(2 if text[:1] == b"b" else 1)
    parts = flood.one.book.spool.since(MIB, 50_000)
    assert [(part.stream, part.data[:1], len(part.data)) for part in parts] == [
        (1, b"a", 20_000),
        (2, b"b", 20_000),
        (1, b"c", 500),
    ]
    assert read_all(flood.err) == b"b" * 20_000


def test_a_full_pipe_stalls_the_stream_until_there_is_room(flood: Flood) -> None:
    source = flood.one.source
    sent = 0
    while not source.stalled:
        sent += os.write(flood.writer, b"z" * 60_000)
        flood.pass_on()
    assert source.stalled == {1}
    assert flood.made.backlog(1) == 1
    got = b""
    while len(got) < sent:
        got += read_all(flood.out)
        flood.one.reactor.write()
        if not source.stalled and len(got) < sent:
            flood.pass_on()
    assert source.stalled == set()
    assert not flood.one.reactor.writers
    assert len(got) == sent >= PIPE_BYTES


def test_what_comes_otherwise_stands_behind_what_has_passed(flood: Flood) -> None:
    flood.write(bytes(MIB))
    flood.one.book.append_output(1, b"rest")
    assert read_all(flood.out) == b"rest"
    assert flood.one.taken().endswith(b"\0\0rest")


def test_a_reader_that_goes_away_leaves_the_stream_to_the_log(flood: Flood) -> None:
    flood.write(bytes(MIB))
    os.close(flood.out)
    os.write(flood.writer, b"more" * 5000)
    assert not flood.pass_on()
    assert flood.one.taken().endswith(b"more" * 5000)
    flood.out = os.dup(flood.err)


def test_the_end_is_left_to_the_usual_reader(flood: Flood) -> None:
    flood.write(b"last")
    os.close(flood.writer)
    assert not flood.pass_on()
    flood.writer = os.dup(flood.err)


def test_pages_that_are_not_full_leave_room_for_what_comes(flood: Flood) -> None:
    """What is passed on by itself has pages of its own: the pipe is full before its bytes are."""
    flood.write(bytes(200_000))
    for number in range(100):
        os.write(flood.writer, b"%04d" % number * 5_001)
        assert flood.pass_on()
        read_all(flood.out)
    kept = flood.one.taken()
    assert kept.endswith(b"0098" + b"0099" * 5_001)
    assert flood.one.book.spool.next == 200_000 + 100 * 20_004


def test_an_agent_that_reads_its_own_output_harms_no_other() -> None:
    unread = Unread()
    source, writer = os.pipe2(os.O_NONBLOCK)
    os.write(writer, b"abc")
    unread.move(1, source, 100)
    assert (unread.size, list(unread.read())) == (3, [(1, b"abc")])
    unread.move(1, source, 100)
    assert (unread.size, unread.dropped) == (0, 0)
    unread.close()
    os.close(source)
    os.close(writer)
