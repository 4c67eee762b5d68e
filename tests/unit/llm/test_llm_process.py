"""The process of the LLM service: its death, its restarts, its end."""

from __future__ import annotations

import pytest

from clove.errors import (
    Cancelled,
    LimitExceeded,
    Unavailable,
)
from tests.unit.llm.llm_house import House, error, quota, result


def test_no_process_is_started_before_the_first_question_and_one_for_all() -> None:
    house = House(started=False)
    assert house.clock.services == []
    asked = [house.think(), house.think()]
    assert len(house.clock.services) == 1
    house.service.ready()
    for number in house.numbers():
        house.service.done(number)
    assert all(result(one).success for one in asked)
    house.think()
    assert len(house.clock.services) == 1


def test_a_question_that_is_refused_starts_no_process() -> None:
    house = House(started=False, limits={"max_request": 1024})
    assert isinstance(error(house.think(prompt="x" * 2000)), LimitExceeded)
    assert house.clock.services == []
    assert house.llm.stop().called


def test_who_asks_first_is_told_why_the_service_cannot_be_started() -> None:
    house = House(started=False)
    house.clock.refuse = True
    asked = house.think()
    house.clock.pump([1, 2])
    failed = error(asked)
    assert isinstance(failed, Unavailable)
    assert "no more processes" in failed.hint
    assert house.llm.stop().called


def test_a_question_while_a_restart_is_due_starts_nothing_of_its_own() -> None:
    house = House()
    house.service.die()
    house.think()
    assert len(house.clock.services) == 1
    house.clock.advance(1)
    assert len(house.clock.services) == 2


def test_service_that_confirms_no_cancel_is_killed_and_replaced() -> None:
    house = House(limits={"cancel_timeout": 3, "max_concurrent": 1})
    first, second = house.think(), house.think()
    first.cancel()
    assert isinstance(error(first), Cancelled)
    house.clock.advance(3)
    assert house.service.signals == ["KILL"]
    house.service.die()
    house.clock.advance(1)
    house.service.ready()
    house.service.done(2)
    assert result(second).success


def test_death_loses_what_was_sent_and_keeps_what_waits() -> None:
    house = House(limits={"max_concurrent": 1})
    first, second = house.think(permissions=quota(calls=2)), house.think(permissions=quota(calls=2))
    house.service.die()
    failed = error(first)
    assert isinstance(failed, Unavailable)
    assert failed.hint
    house.clock.advance(1)
    house.service.ready()
    house.service.done(2)
    assert result(second).success
    assert house.llm.usage(1)["calls"] == 1


def test_restarts_back_off_to_thirty_seconds_and_begin_anew_after_a_healthy_minute() -> None:
    house = House()
    for delay in (1, 2, 4, 8, 16, 30, 30):
        count = len(house.clock.services)
        house.service.die()
        house.clock.advance(delay - 0.01)
        assert len(house.clock.services) == count
        house.clock.advance(0.01)
        assert len(house.clock.services) == count + 1
        house.service.ready()
    house.clock.advance(60)
    house.service.die()
    house.clock.advance(1)
    house.service.ready()


def test_service_that_never_gets_ready_is_said_to_be_broken_until_it_does() -> None:
    house = House(ready=False)
    waiting = house.think()
    for delay in (1, 2, 4):
        house.service.protocol.errReceived(b"cannot \x1b[31mread the key\n")
        house.service.die(None)
        house.clock.advance(delay)
    for failed in (error(waiting), error(house.think())):
        assert isinstance(failed, Unavailable)
        assert "read the key" in failed.hint
        assert "\x1b" not in failed.hint
    house.service.ready()
    asked = house.think()
    house.service.done(house.numbers()[-1])
    assert result(asked).success


def test_process_that_cannot_be_started_is_tried_again() -> None:
    house = House()
    house.clock.refuse = True
    house.service.die()
    house.clock.advance(1)
    house.clock.refuse = False
    house.clock.advance(2)
    house.service.ready()
    asked = house.think()
    house.service.done(1)
    assert result(asked).success


@pytest.mark.parametrize("noise", [b"not json\n", b'{"type":"done","id":1}\n', b"x" * (5 << 20)])
def test_service_that_breaks_the_exchange_is_killed(noise: bytes) -> None:
    house = House()
    house.service.protocol.outReceived(noise)
    assert house.service.signals == ["KILL"]
    house.service.die()


def test_answers_to_no_call_are_ignored() -> None:
    house = House()
    house.service.done(99)
    house.service.say(type="text", id=99, text="x")
    house.service.fail(None)
    assert house.service.signals == []


def test_stop_abandons_everything_and_waits_for_the_service() -> None:
    house = House(limits={"max_concurrent": 1})
    asked = [house.think(), house.think()]
    stopped = house.llm.stop()
    assert all(isinstance(error(one), Unavailable) for one in asked)
    assert house.service.stdin_closed
    assert not stopped.called
    house.clock.advance(2)
    assert house.service.signals == ["KILL"]
    house.service.die()
    assert stopped.called
    assert house.clock.getDelayedCalls() == []
    assert isinstance(error(house.think()), Unavailable)


def test_stop_between_two_services_is_done_at_once() -> None:
    house = House()
    house.service.die()
    assert house.llm.stop().called
    assert house.clock.getDelayedCalls() == []


def test_a_service_that_can_be_told_nothing_more_is_ended_and_what_it_was_asked_fails() -> None:
    house = House()
    asked = house.think()
    house.service.protocol.inConnectionLost()  # a write has failed, or it reads no more
    assert house.service.signals == ["KILL"]
    house.service.die()
    assert isinstance(error(asked), Unavailable)
    house.clock.advance(1)
    house.service.ready()


def test_a_service_that_was_told_to_end_is_not_killed_for_its_closed_stdin() -> None:
    house = House()
    house.llm.stop()
    house.service.protocol.inConnectionLost()
    assert house.service.signals == []
    house.service.die(None)
