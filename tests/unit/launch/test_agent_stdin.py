"""The pipe that an agent reads: bounded by its reader, one for all of its starts."""

from __future__ import annotations

import os
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.errors import Unavailable
from clove.kernel.launch.agent_stdin import AgentStdin


class Reactor:
    """Writers are asked when the test says so."""

    def __init__(self) -> None:
        self.writers: set[Any] = set()

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def turn(self) -> None:
        for writer in list(self.writers):
            writer.doWrite()


def failure(deferred: Deferred[None]) -> str:
    found: list[str] = []
    deferred.addErrback(lambda failed: found.append(str(failed.value)))
    [text] = found
    return text


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


def test_writes_stay_in_their_order() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    writes = [stdin.write(data) for data in (b"one ", b"two ", b"three")]
    reactor.turn()
    assert all(write.called for write in writes)
    assert os.read(stdin.reader, 100) == b"one two three"
    stdin.close()


def test_what_is_given_up_is_not_written() -> None:
    reactor = Reactor()
    stdin = AgentStdin(reactor)
    first, second, third = (stdin.write(data) for data in (b"one", b"two", b"three"))
    second.cancel()
    second.addErrback(lambda failed: failed.trap(CancelledError))
    reactor.turn()
    assert first.called
    assert third.called
    assert os.read(stdin.reader, 100) == b"onethree"
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
