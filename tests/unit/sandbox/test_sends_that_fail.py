"""A message that cannot be sent fails what it was for, at once, and harms no other message."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.sandbox.channel import ControlSocket, socket_pair
from clove.sandbox.diagnostics import failure
from clove.sandbox.init_errors import path_refused, program_refused
from clove.sandbox.inside.control import PACKET, Channel
from clove.sandbox.requests import Requests
from clove.sandbox.spec import SandboxSpec

FATAL = [errno.ETOOMANYREFS, errno.ENOBUFS, errno.EPIPE, errno.EMSGSIZE, errno.ECONNRESET]


class Reactor(Clock):
    """A clock that also watches descriptors, in name alone."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None: ...

    def removeReader(self, reader: Any) -> None: ...

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)


class Failing:
    """A socket whose sends fail when they are told to.

    @ivar errors: errno for each send to come; 0, or none left: it is sent.
    """

    def __init__(self, end: socket.socket, errors: list[int]) -> None:
        self._end = end
        self.errors = errors

    def sendmsg(self, *words: Any) -> int:
        number = self.errors.pop(0) if self.errors else 0
        if number:
            raise OSError(number, os.strerror(number))
        return self._end.sendmsg(*words)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._end, name)


class Line:
    """Both ends of a control socket."""

    def __init__(self) -> None:
        ours, theirs = socket_pair()
        self.reactor = Reactor()
        self.end = Failing(ours, [])
        self.inside = Channel(theirs.detach())
        self.lost = 0
        self.received: list[Any] = []
        end: Any = self.end
        reactor: Any = self.reactor
        self.control = ControlSocket(
            reactor, end, lambda *got: self.received.append(got), self.end_of
        )
        self.requests = Requests(self.reactor, self.control, timeout=10, most=8)

    def end_of(self) -> None:
        self.lost += 1

    def ask(self, message: dict[str, Any], fds: Any = ()) -> list[Any]:
        results: list[Any] = []
        Deferred.fromCoroutine(self.requests.ask(message, fds)).addBoth(results.append)
        return results

    def close(self) -> None:
        self.control.close()
        self.inside.close()


@pytest.fixture
def line() -> Any:
    made = Line()
    yield made
    made.close()


def error_of(results: list[Any]) -> CloveError:
    [failure] = results
    assert isinstance(failure, Failure)
    assert isinstance(failure.value, CloveError)
    return failure.value


@pytest.mark.parametrize("number", FATAL)
def test_a_request_that_cannot_be_sent_fails_at_once(line: Line, number: int) -> None:
    line.end.errors = [number]
    error = error_of(line.ask({"op": "run"}, (0,)))
    assert isinstance(error, LimitExceeded if number == errno.ETOOMANYREFS else Unavailable)
    assert os.strerror(number) in error.message
    assert line.reactor.getDelayedCalls() == []
    assert line.control.open


def test_the_next_request_goes_on(line: Line) -> None:
    line.end.errors = [errno.ETOOMANYREFS]
    error_of(line.ask({"op": "run"}, (0,)))
    waiting = line.ask({"op": "resolve"})
    assert waiting == []
    assert line.inside.receive() == ({"op": "resolve", "id": 2}, [])
    line.requests.end()


def test_what_a_full_socket_does_not_take_waits(line: Line) -> None:
    line.end.errors = [errno.EAGAIN]
    waiting = line.ask({"op": "resolve"})
    assert waiting == []
    assert line.reactor.writers == {line.control}
    line.control.doWrite()
    assert line.inside.receive() == ({"op": "resolve", "id": 1}, [])
    assert line.reactor.writers == set()
    line.requests.end()


def test_a_failure_after_a_wait_fails_that_request_alone(line: Line) -> None:
    line.end.errors = [errno.EAGAIN, errno.ETOOMANYREFS]
    first, second = line.ask({"op": "run"}, (0,)), line.ask({"op": "resolve"})
    error_of(first)
    assert second == []
    assert line.inside.receive() == ({"op": "resolve", "id": 2}, [])
    line.requests.end()


def test_the_pieces_of_a_message_that_fails_half_way_are_taken_back(line: Line) -> None:
    line.end.errors = [0, 0, errno.ETOOMANYREFS]  # descriptors ride on the last piece
    error_of(line.ask({"op": "run", "text": "x" * (2 * PACKET)}, (0,)))
    line.ask({"op": "resolve"})
    assert line.inside.receive() == ({"op": "resolve", "id": 2}, [])
    line.requests.end()


def test_who_cannot_even_take_it_back_is_hung_up_on(line: Line) -> None:
    line.end.errors = [0, errno.ENOBUFS, errno.ENOBUFS]
    error_of(line.ask({"op": "run", "text": "x" * PACKET}))
    assert line.lost == 1
    assert not line.control.open


def test_an_order_without_an_answer_that_cannot_be_sent_ends_the_sandbox(line: Line) -> None:
    line.end.errors = [errno.ENOBUFS]
    line.requests.tell({"op": "kill", "id": 1})
    assert line.lost == 1
    assert line.inside.receive() is None


def test_no_descriptor_stays_of_a_message_that_failed(line: Line) -> None:
    before = len(os.listdir("/proc/self/fd"))
    line.end.errors = [errno.ETOOMANYREFS]
    error_of(line.ask({"op": "run"}, (0, 1, 2)))
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_answer_without_its_descriptor_is_a_refusal(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = line.end._end.recvmsg

    def truncated(*words: Any) -> Any:
        packet, _, flags, address = receive(*words)
        return packet, [], flags | socket.MSG_CTRUNC, address

    monkeypatch.setattr(line.end, "recvmsg", truncated, raising=False)
    line.inside.send({"op": "opened", "id": 7}, (0,))
    line.inside.send({"op": "egress"}, (0,))
    for _ in range(2):
        line.control.doRead()
    answer, word = (message for message, _, _ in line.received)
    assert (answer["op"], answer["id"], answer["errno"]) == ("refused", 7, errno.EMFILE)
    assert isinstance(path_refused(answer, "f"), LimitExceeded)
    assert isinstance(program_refused(answer, "ls", "/"), LimitExceeded)
    assert word["op"] == "failed"
    assert isinstance(failure(word, SandboxSpec(argv=("python",))), LimitExceeded)


@pytest.mark.parametrize("step", ["egress", "time", "send"])
def test_a_start_that_could_pass_no_descriptor_says_so(step: str) -> None:
    message = {"op": "failed", "step": step, "errno": errno.ETOOMANYREFS, "text": ""}
    error = failure(message, SandboxSpec(argv=("python",)))
    assert isinstance(error, LimitExceeded)
    assert "RLIMIT_NOFILE" in error.hint
