"""Turns and time-outs of THINK, on a clock and with a service played by the test."""

from __future__ import annotations

from typing import Any

from clove.errors import (
    Cancelled,
    LimitExceeded,
    TimedOut,
)
from clove.policy import for_level, parse
from clove.sharing.shares import OPERATORS
from tests.unit.llm.llm_house import House, error, quota, result


def test_answer_comes_back_with_its_cost_and_its_wait() -> None:
    house = House(limits={"max_concurrent": 1})
    first, second = house.think(), house.think()
    house.clock.advance(1.5)
    house.service.done(1)
    house.service.done(2, tokens=7)
    assert result(first).queued_ms == 0
    reply = result(second)
    assert (reply.content, reply.tokens, reply.input_tokens, reply.output_tokens) == (
        "answer",
        7,
        4,
        3,
    )
    assert (reply.model, reply.provider, reply.queued_ms) == ("m", "p", 1500)
    assert house.llm.usage(1) == {"tokens": 17, "calls": 2, "budget": 0}


def test_questions_wait_until_the_service_is_ready() -> None:
    house = House(ready=False)
    asked = house.think()
    assert house.service.asked == []
    house.service.ready()
    house.service.done(1)
    assert result(asked).success


def test_slots_go_round_between_agents() -> None:
    house = House(limits={"max_concurrent": 1})
    asked = [house.think(1, f"a{n}") for n in range(3)] + [house.think(2, "b0")]
    for number in range(1, 5):
        house.service.done(number)
    assert house.order == ["a0", "a1", "b0", "a2"]
    assert all(result(one).success for one in asked)


def test_one_agent_cannot_take_every_slot() -> None:
    house = House(limits={"max_concurrent": 4, "max_concurrent_per_agent": 2})
    asked = [house.think(1, "a") for _ in range(5)]
    assert house.order == ["a", "a"]
    asked.append(house.think(2, "b"))
    assert house.order == ["a", "a", "b"]
    for number in range(1, 7):
        house.service.done(number)
    assert all(result(one).success for one in asked)


def test_one_family_cannot_take_every_slot_however_many_agents_ask() -> None:
    house = House(limits={"max_concurrent": 8})
    asked = [house.think(agent, "a", family=10) for agent in range(10, 18)]
    assert house.order == ["a"] * 4
    asked += [house.think(20, "b", family=20) for _ in range(4)]
    assert house.order[4:] == ["b"] * 3
    asked.append(house.think(1, "mine", family=OPERATORS))
    assert house.order[7:] == ["mine"]
    for number in range(1, 14):
        house.service.done(number)
    assert all(result(one).success for one in asked)


def test_full_line_refuses_and_others_go_on() -> None:
    house = House(ready=False, limits={"max_waiting_per_agent": 2})
    waiting = [house.think(1), house.think(1)]
    assert isinstance(error(house.think(1)), LimitExceeded)
    waiting.append(house.think(2))
    house.service.ready()
    for number in house.numbers():
        house.service.done(number)
    assert all(result(one).success for one in waiting)


def test_question_larger_than_a_line_is_refused_at_once() -> None:
    house = House(limits={"max_request": 4096})
    assert isinstance(error(house.think(prompt="x" * 4096)), LimitExceeded)
    assert house.service.asked == []


def test_cancelled_while_it_waits_never_reaches_the_service() -> None:
    house = House(limits={"max_concurrent": 1})
    first, second = house.think(), house.think(prompt="never")
    second.cancel()
    assert isinstance(error(second), Cancelled)
    house.service.done(1)
    assert result(first).success
    assert "never" not in house.order
    assert house.clock.getDelayedCalls() == []


def test_cancelled_in_the_service_is_told_and_gives_back_its_reservation() -> None:
    house = House()
    first = house.think(permissions=quota(calls=1))
    second = house.think(permissions=quota(calls=1))
    first.cancel()
    assert isinstance(error(first), Cancelled)
    assert house.service.cancelled == [1]
    assert len(house.service.asked) == 1  # its place is free when the service confirms
    house.service.fail(1, "cancelled")
    house.service.done(2)
    assert result(second).success
    assert house.llm.usage(1)["calls"] == 1


def test_listener_that_fails_does_not_end_the_answer(logged_failures: Any) -> None:
    def broken(text: str) -> None:
        raise RuntimeError(text)

    house = House()
    asked = house.think(stream=True, on_text=broken)
    house.service.say(type="text", id=1, text="x")
    house.service.done(1)
    assert result(asked).success
    assert len(logged_failures.flush(RuntimeError)) == 1


def test_stream_without_a_listener_is_not_asked_for() -> None:
    house = House()
    asked = house.think(stream=True)
    assert "stream" not in house.service.asked[0]
    house.service.done(1)
    assert result(asked).success


def test_waiting_ends_after_its_time() -> None:
    house = House(ready=False, limits={"queue_timeout": 5})
    asked = house.think()
    house.clock.advance(5)
    assert isinstance(error(asked), TimedOut)
    assert house.llm.status()["waiting"] == 0


def test_slow_answer_ends_after_its_time_and_frees_its_slot_when_confirmed() -> None:
    house = House(limits={"timeout": 5, "max_concurrent": 1})
    first, second = house.think(), house.think()
    house.clock.advance(5)
    assert isinstance(error(first), TimedOut)
    assert house.service.cancelled == [1]
    house.service.fail(1, "cancelled")
    house.service.done(2)
    assert result(second).success


def test_closing_an_agent_abandons_its_questions_only_and_forgets_its_account() -> None:
    house = House(limits={"max_concurrent": 2})
    sent, other = house.think(1), house.think(2)
    waiting = house.think(1)
    house.llm.close(1)
    assert isinstance(error(sent), Cancelled)
    assert isinstance(error(waiting), Cancelled)
    house.service.fail(1, "cancelled")
    house.service.done(2)
    assert result(other).success
    assert house.llm.usage(1) == {"tokens": 0, "calls": 0, "budget": 0}


def test_a_question_that_waits_is_refused_when_its_agent_may_ask_no_more() -> None:
    house = House(limits={"max_concurrent": 1})
    first, second = house.think(1), house.think(2)
    house.permissions = {1: for_level("minimal"), 2: parse(None, {"can_think": False})}
    house.service.done(1)
    assert result(first).success
    assert error(second).code == "permission_denied"
    assert len(house.service.asked) == 1
