"""Partial replies wait for a client who reads slowly."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.channels.sender import Sender
from clove.framing import Opcode
from clove.kernel.connection.stream import Stream
from clove.testing.memory_channel import MemoryChannel


class Slow:
    """The client's connection; it has so much left to read as the test says."""

    def __init__(self) -> None:
        self.channel = MemoryChannel()
        self.channel.deliver_to(self)
        self.sender = Sender(
            self.channel, unsent_limit=400, backlog=lambda unsent: unsent + self.more
        )
        self.more = 0  # on others of the agent's connections

    def behind(self, left: int) -> None:
        self.channel.go_on_reading()
        self.channel.stop_reading()
        if left:
            self.sender.send(bytes(left))

    def drained(self) -> None:
        self.sender.drained()

    def data_received(self, data: bytes) -> None:
        raise AssertionError("nothing is sent to us here")

    def descriptors_received(self) -> None:
        raise AssertionError("nothing is sent to us here")

    def lost(self) -> None:
        self.sender.lost()


def clear(connection: Slow) -> Deferred[None]:
    def reply(*arguments: Any) -> None:
        raise AssertionError("nothing is sent here")

    return Deferred.fromCoroutine(Stream(connection.sender, reply, Opcode.LOGS, 1).clear())


def test_little_to_read_keeps_nothing_waiting() -> None:
    connection = Slow()
    connection.behind(100)
    assert clear(connection).called


def test_much_to_read_is_waited_for() -> None:
    connection = Slow()
    connection.behind(101)
    waiting = clear(connection)
    assert not waiting.called
    connection.behind(0)
    assert waiting.called


def test_several_that_wait_look_again_when_one_has_sent() -> None:
    connection = Slow()
    connection.behind(101)
    first, second = clear(connection), clear(connection)
    first.addCallback(lambda _: connection.behind(300))
    connection.behind(0)
    assert first.called
    assert not second.called
    connection.behind(0)
    assert second.called


def test_what_the_clients_other_connections_have_left_holds_no_stream_for_ever() -> None:
    connection = Slow()
    connection.more = 300
    assert clear(connection).called


async def test_a_wait_that_is_given_up_leaves_nothing() -> None:
    connection = Slow()
    connection.behind(101)
    waiting = clear(connection)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    connection.behind(0)
