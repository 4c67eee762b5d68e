"""What a sandbox says is taken in turns of the reactor, however much has come."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from clove.sandbox.channel import TURN_SECONDS, ControlSocket, socket_pair
from clove.sandbox.inside.control import packets


class Reactor(Clock):
    """Is not asked to read or write by itself."""

    def addReader(self, reader: Any) -> None:
        pass

    removeReader = addWriter = removeWriter = addReader


def test_messages_that_take_long_to_serve_are_taken_some_in_a_turn() -> None:
    reactor: Any = Reactor()
    ours, theirs = socket_pair()
    taken: list[int] = []

    def receive(message: dict[str, Any], fds: list[int], pid: int) -> None:
        taken.append(message["number"])
        reactor.rightNow += TURN_SECONDS / 4

    control = ControlSocket(reactor, ours, receive, lambda: None)
    with theirs:
        for number in range(20):
            for packet in packets({"number": number}):
                theirs.send(packet)
        control.doRead()
        assert 0 < len(taken) < 10
        for _ in range(10):
            control.doRead()
        assert taken == list(range(20))
        control.close()
