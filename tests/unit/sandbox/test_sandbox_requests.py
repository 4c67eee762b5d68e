"""Questions to init and their answers, on a clock."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.errors import LimitExceeded, TimedOut, Unavailable
from clove.sandbox.channel import ControlSocket
from clove.sandbox.requests import Answer, Requests


class Wire:
    """A control socket's face, which keeps what was sent."""

    def __init__(self) -> None:
        self.open = True
        self.sent: list[dict[str, Any]] = []
        self.full = False

    def send(self, message: dict[str, Any], fds: Any = (), not_sent: Any = None) -> None:
        if self.full:
            raise LimitExceeded("full")
        self.sent.append(message)


class Asked:
    """One question under way."""

    def __init__(self, requests: Requests, message: dict[str, Any]) -> None:
        self.result: Any = None
        self.deferred = Deferred.fromCoroutine(requests.ask(message))
        self.deferred.addBoth(self._keep)

    def _keep(self, result: Any) -> None:
        self.result = result

    @property
    def error(self) -> BaseException:
        assert isinstance(self.result, Failure)
        assert self.result.value is not None
        return self.result.value


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def requests(wire: Wire, clock: Clock) -> Requests:
    return Requests(clock, cast(ControlSocket, wire), timeout=10, most=2)


def test_an_answer_goes_to_its_question(requests: Requests, wire: Wire, clock: Clock) -> None:
    first, second = Asked(requests, {"op": "a"}), Asked(requests, {"op": "b"})
    assert wire.sent == [{"op": "a", "id": 1}, {"op": "b", "id": 2}]
    assert requests.answered({"op": "done", "id": 2}, [])
    assert first.result is None
    assert second.result == Answer({"op": "done", "id": 2}, [])
    requests.answered({"id": 1}, [])
    assert clock.getDelayedCalls() == []


def test_no_answer_in_time_fails_and_a_late_one_is_dropped(
    requests: Requests, clock: Clock
) -> None:
    asked = Asked(requests, {"op": "a"})
    clock.advance(9.9)
    assert asked.result is None
    clock.advance(0.2)
    assert isinstance(asked.error, TimedOut)
    assert not requests.answered({"id": 1}, [])


def test_too_many_questions_are_refused(requests: Requests) -> None:
    kept = [Asked(requests, {}) for _ in range(2)]
    assert isinstance(Asked(requests, {}).error, LimitExceeded)
    requests.answered({"id": 1}, [])
    assert Asked(requests, {}).result is None
    assert kept[0].result is not None


def test_a_full_socket_leaves_no_timer_behind(requests: Requests, wire: Wire, clock: Clock) -> None:
    wire.full = True
    assert isinstance(Asked(requests, {}).error, LimitExceeded)
    assert clock.getDelayedCalls() == []


def test_the_end_fails_everything(requests: Requests, wire: Wire, clock: Clock) -> None:
    asked = Asked(requests, {})
    requests.end()
    wire.open = False
    assert isinstance(asked.error, Unavailable)
    assert isinstance(Asked(requests, {}).error, Unavailable)
    assert clock.getDelayedCalls() == []


def test_an_answer_that_makes_no_sense_belongs_to_no_request(requests: Requests) -> None:
    numbers: tuple[object, ...] = ("1", None, 7)
    for number in numbers:
        assert not requests.answered({"id": number}, [])
