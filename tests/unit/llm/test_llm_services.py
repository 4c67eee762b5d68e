"""Calls of several services: each completes, loses and is asked its own."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from clove.errors import Unavailable
from clove.kernel.llm import LLMLimits, LLMSettings
from clove.kernel.llm.call import Call
from clove.kernel.llm.calls import Calls
from clove.kernel.llm.ledger import Ledger, Quota
from clove.llm.exchange import Done, Ready
from clove.messages.think import ThinkRequest
from tests.unit.llm.llm_house import error, result


class Recorded:
    """A service that keeps what it was sent."""

    def __init__(self) -> None:
        self.ready = True
        self.broken = ""
        self.lines: list[bytes] = []
        self.killed: list[str] = []

    def ensure_started(self) -> None:
        """It runs already."""

    def send(self, line: bytes) -> None:
        self.lines.append(line)

    def kill(self, reason: str) -> None:
        self.killed.append(reason)


class House:
    """Two services, and calls of both."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.one, self.two = Recorded(), Recorded()
        settings = LLMSettings(limits=LLMLimits(**limits))
        services: Any = {"one": self.one, "two": self.two}
        self.calls = Calls(self.clock, settings, Ledger(), services, lambda _: None, None)

    def ask(self, service: str, agent: int = 1) -> Call:
        request = ThinkRequest(prompt="question")
        call = Call(
            *(agent, (agent,), service, Quota(), request, None, 10, 5, 0.0, self.calls.cancel)
        )
        self.calls.add(call)
        return call


def done(number: int) -> Done:
    return Done(
        id=number, content="answer", input_tokens=1, output_tokens=2, model="m", provider="p"
    )


def test_each_is_sent_its_own() -> None:
    house = House()
    asked = [house.ask("one"), house.ask("two"), house.ask("two")]
    assert (len(house.one.lines), len(house.two.lines)) == (1, 2)
    for call in asked:
        house.calls.received(call.service, done(call.number))
        assert result(call.deferred).success


def test_no_service_answers_for_another() -> None:
    house = House()
    call = house.ask("one")
    house.calls.received("two", done(call.number))
    assert not call.deferred.called
    house.calls.received("one", done(call.number))
    assert result(call.deferred).success


def test_the_end_of_one_loses_its_own_alone_and_lets_others_go() -> None:
    house = House(max_concurrent_per_agent=1)
    lost, kept, waiting = house.ask("one", 1), house.ask("two", 2), house.ask("two", 1)
    house.one.ready = False
    house.calls.service_ended("one")
    assert isinstance(error(lost.deferred), Unavailable)
    assert waiting.number
    for call in (kept, waiting):
        house.calls.received("two", done(call.number))
        assert result(call.deferred).success


def test_what_waits_for_one_that_is_broken_is_refused_and_for_another_not() -> None:
    house = House()
    house.one.ready = house.two.ready = False
    refused, waiting = house.ask("one"), house.ask("two", 2)
    house.one.broken = "no key"
    house.calls.service_ended("one")
    assert "no key" in error(refused.deferred).hint
    house.two.ready = True
    house.calls.received("two", Ready(provider="p", model="m"))
    house.calls.received("two", done(waiting.number))
    assert result(waiting.deferred).success


def test_one_that_is_not_ready_holds_up_no_other() -> None:
    house = House()
    house.one.ready = False
    waiting, other = house.ask("one", 1), house.ask("two", 2)
    house.calls.received("two", done(other.number))
    assert result(other.deferred).success
    waiting.deferred.cancel()
    error(waiting.deferred)
    assert house.clock.getDelayedCalls() == []


def test_one_that_confirms_nothing_is_killed_and_no_other() -> None:
    house = House(cancel_timeout=3)
    call = house.ask("two")
    call.deferred.cancel()
    error(call.deferred)
    house.clock.advance(3)
    assert (len(house.one.killed), len(house.two.killed)) == (0, 1)
    house.two.ready = False
    house.calls.service_ended("two")
