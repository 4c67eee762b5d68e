"""The pipe that an agent reads: bounded by its reader, one for all of its starts."""

from __future__ import annotations

import os

import pytest

from clove.errors import Unavailable
from clove.kernel.launch.agent_stdin import AgentStdin
from tests.unit.kernel.writer_turns import Reactor, failure


def test_a_write_is_answered_when_the_pipe_has_all_of_it() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    taken = stdin.write(b"x" * 100_000)
    reactor.turn()
    assert not taken.called
    found = os.read(stdin.reader, 1 << 20)
    reactor.turn()
    assert taken.called
    assert found + os.read(stdin.reader, 1 << 20) == b"x" * 100_000
    assert not reactor.writers
    stdin.close()


def test_the_end_comes_after_what_was_written() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    stdin.write(b"last")
    reactor.turn()
    stdin.end_input()
    stdin.end_input()
    assert os.read(stdin.reader, 100) == b"last"
    assert os.read(stdin.reader, 100) == b""
    with pytest.raises(Unavailable, match="closed"):
        stdin.write(b"more")
    stdin.close()


def test_without_a_reader_a_write_fails() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    os.close(stdin.reader)
    stdin.reader = -1
    write = stdin.write(b"lost")
    reactor.turn()
    assert failure(write) == "nothing reads its standard input any more"
    with pytest.raises(Unavailable, match="nothing reads"):
        stdin.write(b"more")


def test_what_waits_when_the_agent_ends_fails() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    writes = [stdin.write(b"x" * 100_000), stdin.write(b"y")]
    reactor.turn()
    stdin.close()
    assert [failure(write) for write in writes] == ["the agent has ended"] * 2
    assert not reactor.writers
    assert (stdin.reader, stdin.fileno()) == (-1, -1)


def test_one_who_is_attached_writes_alone() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    writer = stdin.copy_writer()
    stdin.hand_over()
    with pytest.raises(Unavailable, match="attached"):
        stdin.write(b"other")
    os.write(writer, b"mine")
    os.close(writer)
    assert os.read(stdin.reader, 100) == b"mine"
    assert os.read(stdin.reader, 100) == b""
    with pytest.raises(Unavailable):
        stdin.copy_writer()
    stdin.close()


def test_who_has_the_writing_end_cannot_make_the_kernels_block() -> None:
    stdin = AgentStdin(Reactor(), on_terminal=True)
    theirs = stdin.copy_writer()
    try:
        stdin.hand_over()
        os.set_blocking(theirs, True)
        assert not os.get_blocking(stdin.fileno())
        os.write(theirs, b"typed")
        assert os.read(stdin.reader, 100) == b"typed"
    finally:
        os.close(theirs)
        stdin.close()
