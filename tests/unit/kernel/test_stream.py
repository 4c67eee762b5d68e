"""Partial replies wait for a client who reads slowly."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.framing import BadFrame, Frame, Opcode
from clove.kernel.stream import Stream
from clove.protocol import FrameProtocol


class Slow(FrameProtocol):
    """A connection whose client has so much left to read as the test says."""

    unsent_limit = 400
    left = 0

    def framesReceived(self, frames: list[Frame]) -> None:
        raise AssertionError("nothing is sent to us here")

    def frameBroken(self, error: BadFrame) -> None:
        raise AssertionError("nothing is sent to us here")

    @property
    def unsent(self) -> int:
        return self.left

    def behind(self, left: int) -> None:
        self.left = left
        self.congested = left > 0
        if not left:
            self.drained()


def clear(connection: Slow) -> Deferred[None]:
    def reply(*arguments: Any) -> None:
        raise AssertionError("nothing is sent here")

    return Deferred.fromCoroutine(Stream(connection, reply, Opcode.LOGS, 1).clear())


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


def test_what_the_clients_other_connections_have_left_holds_nobody_for_ever() -> None:
    connection = Slow()
    connection.left = 300
    assert clear(connection).called


async def test_a_wait_that_is_given_up_leaves_nothing() -> None:
    connection = Slow()
    connection.behind(101)
    waiting = clear(connection)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    connection.behind(0)
