"""The compiled part serves a turn's descriptors as clove.loop.turns does, and looks at a connection again when it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from select import EPOLLIN, EPOLLOUT
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.python.failure import Failure

from clove.framing import encode
from tests.compiled.serving import LEFT, Served, fast

NOOP = encode(1, 0, b"")


class Turn:
    """The reactor's part of a turn.

    @ivar told: what became of the descriptors, in order.
    """

    def __init__(self) -> None:
        self.selectables: dict[int, Any] = {}
        self.told: list[tuple[object, ...]] = []

    def add(self, number: int, read: Callable[[], object]) -> None:
        self.selectables[number] = SimpleNamespace(doRead=read, number=number)

    def serve(self, *ready: tuple[int, int]) -> list[tuple[object, ...]]:
        self.told = []
        fast.serve_ready(
            list(ready),
            self.selectables,
            lambda each, fd, event: self.told.append(("event", each.number, fd, event)),
            lambda each, why, reading: self.told.append(("end", each.number, why, reading)),
            self.failed,
        )
        return self.told

    def failed(self, error: BaseException) -> str:
        assert Failure().value is error  # which is being handled, so that it can be logged
        return f"failed: {error}"


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.end()


@pytest.fixture
def turn() -> Turn:
    return Turn()


def test_descriptors_are_served_in_their_order_whatever_reads_them(
    turn: Turn, served: Served
) -> None:
    served.theirs.sendall(NOOP)
    turn.add(1, lambda: turn.told.append((1, served.flow.received)))
    turn.add(3, lambda: turn.told.append((3, served.flow.received)))
    turn.add(2, served.reader())
    ready = [(number, EPOLLIN) for number in (3, 2, 1)]
    assert turn.serve(*ready) == [(3, 0), (1, 1)]
    served.theirs.sendall(NOOP)  # this time it is known to be free
    assert turn.serve(*ready) == [(3, 1), (1, 2)]
    assert served.replies() == [(7, 0, b"")] * 2


def test_other_events_and_ends_are_the_reactors(turn: Turn) -> None:
    turn.add(1, lambda: "done")
    turn.add(2, lambda: None)
    assert turn.serve((1, EPOLLIN), (2, EPOLLIN | EPOLLOUT), (3, EPOLLIN)) == [
        ("end", 1, "done", True),
        ("event", 2, 2, EPOLLIN | EPOLLOUT),
    ]


def test_what_was_closed_in_the_turn_is_not_served_nor_what_got_its_number(turn: Turn) -> None:
    def read() -> None:
        del turn.selectables[2]
        turn.add(3, lambda: "another's")

    turn.add(1, read)
    turn.add(2, lambda: "closed")
    turn.add(3, lambda: "closed, too")
    assert turn.serve((1, EPOLLIN), (2, EPOLLIN), (3, EPOLLIN)) == []


def test_one_that_fails_ends_and_the_others_are_served(turn: Turn, served: Served) -> None:
    def answer(opcode: int, payload: bytes) -> bytes:
        raise ZeroDivisionError("a bug")

    served.framing.answer = answer
    turn.add(1, lambda: 1 // 0)
    turn.add(2, served.reader())
    turn.add(3, lambda: "done")
    for _ in range(2):  # the second time it is known to be free
        served.theirs.sendall(encode(0, 2, b""))
        assert turn.serve((1, EPOLLIN), (2, EPOLLIN), (3, EPOLLIN)) == [
            ("end", 1, "failed: integer division or modulo by zero", True),
            ("end", 2, "failed: a bug", True),
            ("end", 3, "done", True),
        ]
        assert not served.time.serving


def congest(served: Served) -> None:
    served.sender.congested = True


def close(served: Served) -> None:
    served.closing = True


def count(served: Served) -> None:
    served.flow.buffered.counted = 1


def fill(served: Served) -> None:
    served.framing.running.update(dict.fromkeys(range(8)))


@pytest.mark.parametrize("what", [congest, close, count, fill])
def test_a_connection_on_which_something_waits_is_left_to_its_channel(
    turn: Turn, served: Served, what: Callable[[Served], None]
) -> None:
    served.framing.running = {}
    reader = served.reader()
    turn.add(1, reader)
    assert turn.serve((1, EPOLLIN)) == []
    what(served)
    assert turn.serve((1, EPOLLIN)) == [("end", 1, LEFT, True)]
    assert reader() is LEFT


@pytest.mark.parametrize("unusual", [NOOP[:5], encode(0, 2, b"")])
def test_once_something_was_left_it_asks_flow_control_whether_nothing_waits(
    served: Served, unusual: bytes
) -> None:
    served.framing.answer = lambda opcode, payload: None
    reader = served.reader()
    assert reader() is None
    served.flow.free = False
    served.theirs.sendall(NOOP)
    assert reader() is None  # nothing has happened since it asked
    assert served.flow.received == 1
    served.theirs.sendall(unusual)
    assert reader() is None
    assert served.left is not None
    assert reader() is LEFT
    served.flow.free = True
    assert reader() is None


def test_after_the_channel_has_read_it_asks_again(served: Served) -> None:
    running = served.framing.running = dict.fromkeys(range(8))
    reader = served.reader()
    assert reader() is LEFT  # which may have left part of a frame with the decoder
    running.clear()
    served.flow.free = False
    assert reader() is LEFT


def test_requests_are_served_while_they_are_answered_and_not_when_what_is_left_goes_on(
    served: Served,
) -> None:
    def answer(opcode: int, payload: bytes) -> bytes:
        assert served.time.serving
        return payload

    assert served.serve(encode(0, 2, b"") + NOOP[:3], answer=answer) == (1, NOOP[:3], False, None)
    assert not served.time.serving
