"""A command's pipes on a reactor that turns by hand."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from clove.sandbox.input_pipe import InputPipe
from clove.sandbox.pipes import GRACE, OutputPipe
from tests.unit.sandbox.descriptor_watch import Watch


class Output:
    """One output pipe, and what came of it."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.data = b""
        self.ends = 0
        self.pipe = OutputPipe(self.watch, self.take, self.end)

    def take(self, data: bytes) -> None:
        self.data += data

    def end(self) -> None:
        self.ends += 1


def test_output_is_read_until_its_end() -> None:
    output = Output()
    os.write(output.pipe.writer, b"abc")
    output.pipe.doRead()
    assert (output.data, output.ends) == (b"abc", 0)
    os.close(output.pipe.writer)
    output.pipe.doRead()
    assert output.ends == 1
    assert output.pipe.fileno() == -1
    assert output.watch.readers == set()
    output.pipe.close()
    assert output.ends == 1


def test_what_a_dead_program_left_is_read_though_others_hold_the_pipe() -> None:
    output = Output()
    os.write(output.pipe.writer, b"x" * 60_000)
    output.pipe.finish()
    output.watch.advance(0)
    assert (len(output.data), output.ends) == (60_000, 1)
    assert output.watch.getDelayedCalls() == []
    os.close(output.pipe.writer)


def test_a_writer_without_end_does_not_keep_a_dead_program_alive() -> None:
    output = Output()
    total = 0

    def refill(data: bytes) -> None:
        nonlocal total
        total += len(data)
        os.write(output.pipe.writer, b"y" * len(data))

    output.take = refill  # type: ignore[method-assign]
    output.pipe._received = refill
    os.write(output.pipe.writer, b"x" * 60_000)
    output.pipe.finish()
    output.watch.pump([0] * 100)
    assert output.ends == 1
    assert total <= 65_536
    os.close(output.pipe.writer)


class Share:
    """A family's time, which a test gives it."""

    def __init__(self) -> None:
        self.left = False
        self.waiting: list[Callable[[], object]] = []
        self.charged = 0

    def serve(
        self, call: Callable[[], object], in_turn: Callable[[], object]
    ) -> Callable[[], None] | None:
        if self.left:
            self.charge(call)
            return None
        self.waiting.append(in_turn)
        return self.waiting.clear

    def charge(self, call: Callable[[], object]) -> None:
        self.charged += 1
        call()


def test_output_is_read_in_the_time_of_the_family() -> None:
    output, share = Output(), Share()
    output.pipe.read_in(share)
    os.write(output.pipe.writer, b"abc")
    output.pipe.doRead()
    assert (output.data, output.watch.readers) == (b"", set())
    output.pipe.stall(True)
    output.pipe.stall(False)
    assert output.watch.readers == set()
    share.waiting.pop()()
    assert (output.data, output.watch.readers) == (b"abc", {output.pipe})
    share.left = True
    os.write(output.pipe.writer, b"def")
    output.pipe.doRead()
    assert (output.data, share.charged) == (b"abcdef", 1)
    os.close(output.pipe.writer)
    output.pipe.close()


def test_what_waits_for_a_turn_is_read_at_the_end_and_counts() -> None:
    output, share = Output(), Share()
    output.pipe.read_in(share)
    os.write(output.pipe.writer, b"abc")
    output.pipe.doRead()
    output.pipe.finish()
    output.watch.advance(0)
    assert (output.data, output.ends, share.waiting) == (b"abc", 1, [])
    assert share.charged == 2
    os.close(output.pipe.writer)


def test_output_that_is_stalled_in_its_turn_waits_on() -> None:
    output, share = Output(), Share()
    output.pipe.read_in(share)
    os.write(output.pipe.writer, b"abc")
    output.pipe.doRead()
    output.pipe.stall(True)
    share.waiting.pop()()
    assert (output.data, output.watch.readers) == (b"", set())
    output.pipe.stall(False)
    assert output.watch.readers == {output.pipe}
    os.close(output.pipe.writer)
    output.pipe.close()


def test_held_output_waits() -> None:
    output = Output()
    os.write(output.pipe.writer, b"abc")
    output.pipe.hold(True)
    assert output.watch.readers == set()
    output.pipe.finish()
    assert (output.data, output.ends) == (b"", 0)
    output.watch.advance(GRACE / 2)
    output.pipe.hold(False)
    output.watch.advance(0)
    assert (output.data, output.ends) == (b"abc", 1)
    os.close(output.pipe.writer)


def test_unwanted_output_is_dropped_in_the_end() -> None:
    output = Output()
    os.write(output.pipe.writer, b"abc")
    output.pipe.hold(True)
    output.pipe.finish()
    output.watch.advance(GRACE)
    assert (output.data, output.ends) == (b"", 1)
    assert output.watch.getDelayedCalls() == []
    os.close(output.pipe.writer)


def test_what_a_dead_program_left_is_read_in_pieces() -> None:
    output = Output()
    os.set_blocking(output.pipe.writer, False)
    fcntl.fcntl(output.pipe.writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.write(output.pipe.writer, b"x" * (1 << 20))
    output.pipe.finish()
    assert len(output.data) < 1 << 17
    output.watch.pump([0] * 100)
    assert (len(output.data), output.ends) == (1 << 20, 1)
    os.close(output.pipe.writer)


def test_input_is_written_as_it_is_taken_and_then_closed() -> None:
    watch = Watch()
    pipe = InputPipe(watch)  # type: ignore[arg-type]
    pipe.feed(b"z" * 200_000)
    assert watch.writers == {pipe}
    taken = 0
    while piece := os.read(pipe.reader, 1 << 20):
        taken += len(piece)
        pipe.doWrite()
    assert taken == 200_000
    assert watch.writers == set()
    os.close(pipe.reader)


def test_unread_input_is_dropped() -> None:
    pipe = InputPipe(Watch())  # type: ignore[arg-type]
    os.close(pipe.reader)
    pipe.feed(b"x")
    assert pipe.fileno() == -1
