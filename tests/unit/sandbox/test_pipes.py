"""A command's pipes on a reactor that turns by hand."""

from __future__ import annotations

import fcntl
import os

from clove.sandbox.pipes import GRACE, InputPipe, OutputPipe
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
