"""Connections are closed, and their numbers used anew, while a turn's other connections are served."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from select import EPOLLIN
from types import SimpleNamespace
from typing import Any

import pytest

from clove.framing import encode
from tests.compiled.serving import Served, fast

MANY = 64
NOOP, ASK = encode(0, 0, b""), encode(0, 2, b"ask")


class Wired(Served):
    """One whose sender is its socket's, as long as that is open."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.principal.agent_id = number
        self.open = True
        self.sender.send = self._send  # type: ignore[method-assign]

    def _send(self, data: bytes) -> None:
        if self.open:
            self.ours.send(data)

    def take(self, number: int) -> None:
        """Have its socket have a number that is free."""
        old = self.ours.detach()
        os.dup2(old, number, inheritable=False)
        os.close(old)
        self.ours = socket.socket(fileno=number)

    def close(self) -> None:
        """As the kernel does where a connection is lost."""
        self.open, self.closing = False, True
        self.ours.close()

    def said(self) -> list[int]:
        """Whose replies came."""
        try:
            return [frame.agent_id for frame in self.replies()]
        except ConnectionResetError:
            return []


class Crowd:
    """Connections of which any may be closed by what another one asks.

    @ivar met: those that were served anything, in order.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.made: list[Wired] = []
        self.selectables: dict[int, Any] = {}
        self.late: set[int] = set()
        for _ in range(MANY):
            self.add()

    def add(self, instead_of: Wired | None = None) -> Wired:
        one = Wired(len(self.made) + 1)
        self.made.append(one)
        if instead_of is not None:
            number = instead_of.ours.fileno()
            del self.selectables[number]
            instead_of.close()
            one.take(number)
        one.framing.answer = self.answer
        self.selectables[one.ours.fileno()] = SimpleNamespace(doRead=one.reader(), one=one)
        return one

    def answer(self, opcode: int, payload: bytes) -> bytes:
        """Close one connection, which may be that of who asks, and open another that gets its number."""
        new = self.add(self.random.choice([one for one in self.made if one.open]))
        new.theirs.sendall(NOOP + ASK)  # which is ready only in the next turn
        self.late.add(new.principal.agent_id)
        if self.random.randrange(8) == 0:
            raise ZeroDivisionError("a bug")
        return payload

    def turn(self) -> None:
        ready = [(number, EPOLLIN) for number in self.selectables]
        self.random.shuffle(ready)
        self.late.clear()
        fast.serve_ready(ready, self.selectables, self.unexpected, self.lose, lambda error: error)

    def unexpected(self, *event: Any) -> None:
        raise AssertionError(event)

    def lose(self, selectable: Any, why: object, reading: bool) -> None:
        one = selectable.one
        assert isinstance(why, ZeroDivisionError)  # none that is closed was read from
        if one.open:
            del self.selectables[one.ours.fileno()]
            one.close()


@pytest.fixture(params=range(20))
def crowd(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    made = Crowd(request.param)
    yield made
    for one in made.made:
        one.end()


def test_no_connection_gets_or_asks_anything_of_another_that_had_its_number(crowd: Crowd) -> None:
    heard: dict[int, int] = {}
    for _ in range(6):
        for one in crowd.made:
            if one.open and crowd.random.randrange(3):
                said = crowd.random.choice([NOOP, ASK, NOOP + ASK + NOOP, NOOP * 50])
                one.theirs.sendall(said)
        crowd.turn()
        for one in crowd.made:
            own = one.principal.agent_id
            said_by = one.said()
            assert set(said_by) <= {own}
            if own in crowd.late:
                assert not said_by
                assert one.flow.received == 0
            heard[own] = heard.get(own, 0) + len(said_by)
    for one in crowd.made:
        if one.open:
            assert heard[one.principal.agent_id] == one.flow.received
