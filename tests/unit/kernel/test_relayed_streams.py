"""Streams that the kernel keeps for callers without descriptors: real pipes and sockets, no process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred

from clove.errors import InvalidRequest, NotFound, Unavailable
from clove.kernel.attached_commands import AttachedCommands
from clove.kernel.calls.dial import end_sending
from clove.kernel.relayed_streams import Piece, RelayedStreams


class Command:
    """What a command would have: the other ends of its three streams."""

    def __init__(self) -> None:
        stdout, self.stdout = os.pipe()
        stderr, self.stderr = os.pipe()
        self.stdin, stdin = os.pipe()
        self.streams = RelayedStreams(reactor, 7, {1: stdout, 2: stderr}, stdin)

    def close(self) -> None:
        self.streams.close()
        for end in (self.stdout, self.stderr, self.stdin):
            if end >= 0:
                os.close(end)

    def end_output(self) -> None:
        os.close(self.stdout)
        os.close(self.stderr)
        self.stdout = self.stderr = -1


@pytest.fixture
def command() -> Iterator[Command]:
    made = Command()
    yield made
    made.close()


@pytest.fixture
def connection() -> Iterator[tuple[RelayedStreams, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    writer = os.dup(ours.fileno())
    streams = RelayedStreams(reactor, 7, {1: ours.detach()}, writer, end_sending)
    yield streams, theirs
    streams.close()
    theirs.close()


async def test_what_is_there_is_given_once_with_the_name_of_its_stream(command: Command) -> None:
    os.write(command.stdout, b"out")
    os.write(command.stderr, b"err")
    assert await command.streams.read(100, 0) == ([Piece(1, b"out"), Piece(2, b"err")], False)
    assert await command.streams.read(100, 0) == ([], False)


async def test_no_more_is_given_than_was_asked_for(command: Command) -> None:
    os.write(command.stdout, b"abcdef")
    assert await command.streams.read(4, 0) == ([Piece(1, b"abcd")], False)
    assert await command.streams.read(4, 0) == ([Piece(1, b"ef")], False)


async def test_a_reader_waits_for_the_first_byte_and_for_the_end(command: Command) -> None:
    reading = Deferred.fromCoroutine(command.streams.read(100, 60))
    assert not reading.called
    os.write(command.stderr, b"late")
    assert await reading == ([Piece(2, b"late")], False)
    command.end_output()
    assert await command.streams.read(100, 60) == ([], True)
    assert command.streams.is_drained


async def test_a_reader_waits_no_longer_than_it_says(command: Command) -> None:
    assert await command.streams.read(100, 0.01) == ([], False)


async def test_two_read_not_at_once(command: Command) -> None:
    first = Deferred.fromCoroutine(command.streams.read(100, 60))
    with pytest.raises(InvalidRequest):
        await command.streams.read(100, 60)
    os.write(command.stdout, b"x")
    assert await first == ([Piece(1, b"x")], False)


async def test_a_write_is_answered_when_all_of_it_is_taken(command: Command) -> None:
    data = os.urandom(1 << 20)
    writing = Deferred.fromCoroutine(command.streams.write(data))
    taken = b""
    while len(taken) < len(data):
        taken += await _some(command.stdin)
    await writing
    assert taken == data


async def _some(descriptor: int) -> bytes:
    """What a pipe has, once it has something."""
    os.set_blocking(descriptor, False)
    while True:
        try:
            return os.read(descriptor, 1 << 16)
        except BlockingIOError:
            turn: Deferred[None] = Deferred()
            clock: Any = reactor
            clock.callLater(0, turn.callback, None)
            await turn


async def test_writes_keep_their_order(command: Command) -> None:
    first = Deferred.fromCoroutine(command.streams.write(b"a" * 10))
    second = Deferred.fromCoroutine(command.streams.write(b"b"))
    await second
    assert first.called
    assert os.read(command.stdin, 100) == b"a" * 10 + b"b"


async def test_a_write_that_is_given_up_keeps_nothing_and_the_next_goes_on(
    command: Command,
) -> None:
    full = Deferred.fromCoroutine(command.streams.write(bytes(1 << 20)))
    later = [Deferred.fromCoroutine(command.streams.write(b"x" * 1000)) for _ in range(3)]
    for each in (*later[:2], full):
        each.addErrback(lambda failure: failure.trap(CancelledError))
        each.cancel()
    taken = b""
    while not taken.endswith(b"x" * 1000):
        taken += await _some(command.stdin)
    await later[2]
    assert len(taken) < 1 << 20
    assert taken.count(b"x") == 1000


async def test_what_nothing_reads_cannot_be_written(command: Command) -> None:
    os.close(command.stdin)
    command.stdin = -1
    with pytest.raises(Unavailable):
        await command.streams.write(b"x")
    with pytest.raises(Unavailable):
        await command.streams.write(b"x")


async def test_closing_all_fails_what_waits(command: Command) -> None:
    writing = Deferred.fromCoroutine(command.streams.write(bytes(1 << 20)))
    command.streams.close()
    with pytest.raises(Unavailable):
        await writing
    assert command.streams.is_over


async def test_a_connection_ends_each_way_by_itself(
    connection: tuple[RelayedStreams, socket.socket],
) -> None:
    streams, theirs = connection
    await streams.write(b"question")
    streams.close_stream(0)
    assert theirs.recv(100) == b"question"
    assert theirs.recv(100) == b""
    assert streams.is_half_over
    assert not streams.is_over
    theirs.sendall(b"answer")
    assert await streams.read(100, 5) == ([Piece(1, b"answer")], False)
    theirs.shutdown(socket.SHUT_WR)
    assert await streams.read(100, 5) == ([], True)
    assert streams.is_over


async def test_waiting_for_all_to_be_read_ends_with_the_read_that_sees_the_end(
    command: Command,
) -> None:
    waiting = Deferred.fromCoroutine(command.streams.wait_drained())
    os.write(command.stdout, b"last")
    command.end_output()
    assert (await command.streams.read(100, 5))[0] == [Piece(1, b"last")]
    assert (await command.streams.read(100, 5))[1]
    await waiting


def test_streams_are_their_owners_alone(command: Command) -> None:
    commands = AttachedCommands(reactor)
    number = commands.next_number()
    commands.hold(3, number, command.streams)
    assert commands.held(3, number, 7) is command.streams
    for agent, other, owner in ((3, number, 8), (4, number, 7), (3, number + 1, 7)):
        with pytest.raises(NotFound):
            commands.held(agent, other, owner)
    commands.stop_holding(3, number)
    commands.stop_holding(3, number)
    assert command.streams.is_over
    with pytest.raises(NotFound):
        commands.held(3, number, 7)
