"""Floods that a thread passes on: all arrives, and the reactor has the pipe again whenever it wants."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from clove.kernel.logs.pump import Pump, Pumps
from clove.sharing.shares import ShareLimits
from tests.unit.logs.test_attachment import ME, Book, pipes, read_all
from tests.waiting import PATIENCE, until

MIB = 1 << 20
FAMILY = 7


class Calls:
    """What threads would have the reactor call; the test calls it."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        self._calls.put(lambda: function(*args))

    def wait(self) -> None:
        """For one call."""
        self._calls.get(timeout=PATIENCE)()

    @property
    def waiting(self) -> bool:
        """There is one."""
        return not self._calls.empty()


class Flood:
    """An agent's pipe that is flooded, and the attachment that its bytes go to, by a pump."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.pumps = Pumps(self.calls, 1)  # type: ignore[arg-type]
        self.under_way = self.begun = 0
        self.one = Book(start_pump=self._start, unwritten=100_000)
        self.source, self.writer = os.pipe2(os.O_NONBLOCK)
        self.made = self.one.book.attach_point.attach(ME, pipes=True)
        self.out, self.err = pipes(self.made)
        self.sent = self.got = b""

    def _start(self, pump: Pump) -> bool:
        started = self.pumps.start(FAMILY, pump)
        self.under_way += started
        self.begun += started
        return started

    def ended(self) -> None:
        """Wait until a pump has."""
        self.calls.wait()
        self.under_way -= 1

    def pass_on(self) -> None:
        """As the reader of the pipe does when there is something in it."""
        assert self.one.source.taker is not None
        assert self.one.source.taker.pass_on(1, self.source, MIB)

    def begin(self) -> None:
        """Write until there is a pump."""
        while not self.under_way:
            self.write(40_000)
            self.pass_on()
            self.read()

    def write(self, size: int) -> None:
        data = os.urandom(size)
        assert os.write(self.writer, data) == size
        self.sent += data

    def read(self) -> None:
        self.got += read_all(self.out)

    def arrived(self) -> bool:
        """All that was written; the reactor does its part if the pump has found nothing for a while."""
        if self.calls.waiting:
            self.ended()
        if not self.one.source.stalled and self.sent != self.got:
            self.pass_on()
        self.read()
        return self.got == self.sent

    def release(self) -> None:
        assert self.one.source.taker is not None
        self.one.source.taker.release(1)

    def close(self) -> None:
        self.one.book.attach_point.detach(self.made)
        while self.under_way:
            self.ended()
        self.one.book.close()
        for descriptor in (self.source, self.writer, self.out, self.err):
            os.close(descriptor)
        assert not self.one.reactor.getDelayedCalls()


@pytest.fixture
def flood() -> Iterator[Flood]:
    made = Flood()
    yield made
    made.close()


def test_what_is_written_meanwhile_arrives_in_order_and_the_last_is_kept(flood: Flood) -> None:
    flood.begin()
    assert flood.one.source.stalled == {1}
    for _ in range(50):
        flood.write(60_000)
        until(flood.arrived, "it arrives")
    assert flood.one.book.spool.next == len(flood.sent)
    kept = flood.one.taken()
    assert len(kept) > 100_000
    assert flood.sent.endswith(kept)


def test_when_nothing_comes_the_reactor_waits_for_it_again(flood: Flood) -> None:
    flood.begin()
    flood.ended()
    assert flood.one.source.stalled == set()
    flood.write(20_000)
    flood.pass_on()
    flood.read()
    assert flood.got == flood.sent
    flood.one.reactor.advance(1)
    assert flood.one.taken().endswith(flood.sent[-20_000:])


def test_short_pieces_are_left_to_the_reactor(flood: Flood) -> None:
    flood.begin()
    flood.write(10)
    flood.ended()
    assert os.read(flood.source, 99) == flood.sent[-10:]
    flood.read()
    assert flood.got == flood.sent[:-10]


def test_a_pipe_that_is_taken_back_is_touched_no_more(flood: Flood) -> None:
    flood.begin()
    flood.release()
    assert flood.one.source.stalled == set()
    flood.write(60_000)
    flood.ended()
    assert os.read(flood.source, MIB) == flood.sent[-60_000:]


def test_what_is_written_otherwise_takes_it_back(flood: Flood) -> None:
    flood.begin()
    flood.one.book.append_output(1, b"a remark")
    assert flood.one.source.stalled == set()
    flood.sent += b"a remark"
    flood.read()
    assert flood.got == flood.sent
    assert flood.one.taken().endswith(b"a remark")


def test_a_flood_that_has_become_little_is_read_as_it_comes(flood: Flood) -> None:
    flood.begin()
    flood.write(60_000)
    until(flood.arrived, "it arrives")
    flood.one.reactor.advance(0.06)
    assert flood.one.source.stalled == set()


def test_a_reader_that_does_not_read_holds_up_no_thread(flood: Flood) -> None:
    flood.begin()
    while flood.under_way:
        try:
            os.write(flood.writer, bytes(60_000))
        except BlockingIOError:
            flood.ended()
    while not flood.one.source.stalled:  # until there is room
        with contextlib.suppress(BlockingIOError):
            os.write(flood.writer, bytes(60_000))
        flood.pass_on()


def test_a_reader_that_is_gone_ends_it(flood: Flood) -> None:
    flood.begin()
    os.close(flood.out)
    flood.write(60_000)
    flood.ended()
    assert flood.one.source.taker is not None
    assert not flood.one.source.taker.pass_on(1, flood.source, MIB)
    flood.out = os.dup(flood.err)


def test_the_end_is_left_to_the_usual_reader(flood: Flood) -> None:
    flood.begin()
    os.close(flood.writer)
    flood.ended()
    assert os.read(flood.source, 1) == b""
    flood.writer = os.dup(flood.err)


def test_a_family_has_its_share_of_threads() -> None:
    calls, most = Calls(), threading.Semaphore(0)
    pumps = Pumps(calls, 4, ShareLimits(family=0.5))  # type: ignore[arg-type]

    class Waits(Pump):
        def run(self) -> None:
            most.acquire(timeout=PATIENCE)

    def start(family: int) -> bool:
        return pumps.start(family, Waits(threading.Lock(), -1, -1, int, ended.append))

    ended: list[Pump] = []
    assert [start(1) for _ in range(3)] == [True, True, False]
    assert [start(2) for _ in range(3)] == [True, True, False]
    assert not start(3)
    most.release(4)
    for _ in range(4):
        calls.wait()
    assert len(ended) == 4
    assert start(3)
    most.release()
    calls.wait()


def test_where_linux_has_no_thread_the_reactor_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls = Calls()
    pumps = Pumps(calls, 1)  # type: ignore[arg-type]
    pump = Pump(threading.Lock(), -1, -1, int, lambda pump: None)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not pumps.start(FAMILY, pump)
    pump.stop()
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        stopped = Pump(threading.Lock(), descriptor, descriptor, int, lambda pump: None)
        stopped.stop()
        assert pumps.start(FAMILY, stopped)
        calls.wait()
    finally:
        os.close(descriptor)
