"""What model calls cost, and that no quota is overdrawn."""

from __future__ import annotations

from clove.errors import (
    Cancelled,
    InvalidRequest,
    QuotaExceeded,
    Unavailable,
)
from clove.messages.think import ThinkReply
from tests.unit.llm.llm_house import House, error, quota, result


def test_fifty_at_once_against_a_quota_of_five_calls_let_five_through() -> None:
    house = House(limits={"max_concurrent": 64, "max_concurrent_per_agent": 64})
    asked = [house.think(permissions=quota(calls=5)) for _ in range(50)]
    assert len(house.service.asked) == 5
    for number in house.numbers():
        house.service.done(number)
    assert len(house.service.asked) == 5
    assert sum(result(one).success for one in asked[:5]) == 5
    assert all(isinstance(error(one), QuotaExceeded) for one in asked[5:])


def test_fifty_agents_of_one_family_at_once_let_five_through() -> None:
    """The quota is the parent's, who has ended by then."""
    house = House(limits={"max_concurrent": 64, "max_concurrent_per_agent": 64})
    house.llm.open(1)
    for agent in range(2, 52):
        house.llm.open(agent, agent - 1 if agent % 10 else 1)
    house.llm.close(1, quota(calls=5))
    asked = [house.think(agent, family=1) for agent in range(2, 52)]
    assert len(house.service.asked) == 5
    for number in house.numbers():
        house.service.done(number)
    assert len(house.service.asked) == 5
    assert all(isinstance(error(one), QuotaExceeded) for one in asked[5:])


def test_failed_call_gives_its_part_of_the_quota_to_the_next() -> None:
    house = House()
    asked = [house.think(permissions=quota(calls=1)) for _ in range(3)]
    house.service.fail(1)
    assert isinstance(error(asked[0]), Unavailable)
    house.service.done(2)
    assert result(asked[1]).success
    assert isinstance(error(asked[2]), QuotaExceeded)
    assert house.llm.usage(1)["calls"] == 1


def test_failure_that_was_billed_is_charged() -> None:
    house = House()
    asked = house.think(permissions=quota(tokens=1000))
    house.service.fail(1, "invalid_request", input_tokens=3, output_tokens=2, hint="do so")
    failed = error(asked)
    assert isinstance(failed, InvalidRequest)
    assert failed.hint == "do so"
    assert house.llm.usage(1) == {"tokens": 5, "calls": 1, "budget": 1000}


def test_token_quota_caps_the_answer() -> None:
    house = House()
    asked = house.think(prompt="abcd" * 10, permissions=quota(tokens=100))
    assert house.service.asked[0]["max_tokens"] == 90
    house.service.done(1, tokens=100)
    assert result(asked).success
    assert isinstance(error(house.think(permissions=quota(tokens=100))), QuotaExceeded)


def test_own_max_tokens_holds_when_it_is_smaller_than_the_quota() -> None:
    house = House()
    asked = house.think(permissions=quota(tokens=100_000), max_tokens=7)
    assert house.service.asked[0]["max_tokens"] == 7
    house.service.done(1)
    assert result(asked).success


def test_parallel_calls_cannot_overdraw_the_tokens() -> None:
    house = House(limits={"max_concurrent": 64, "max_concurrent_per_agent": 64})
    asked = [house.think(permissions=quota(tokens=500), max_tokens=100) for _ in range(20)]
    while not all(one.called for one in asked):
        for question in house.service.asked[:]:
            house.service.asked.remove(question)
            house.service.done(question["id"], tokens=102)
    served = [one for one in asked if isinstance(one.result, ThinkReply)]
    assert 1 <= len(served) <= 5
    assert house.llm.usage(1)["tokens"] <= 510
    for one in asked:
        one.addErrback(lambda failure: failure.trap(QuotaExceeded))


def test_narrowed_quota_counts_what_was_used_before() -> None:
    house = House()
    asked = house.think(permissions=quota())
    house.service.done(1, tokens=50)
    assert result(asked).success
    assert isinstance(error(house.think(permissions=quota(tokens=50))), QuotaExceeded)


def test_report_is_charged_and_says_when_nothing_is_left() -> None:
    house = House()
    reply = house.llm.report(1, quota(tokens=100), 60)
    assert (reply.tokens, reply.quota_exceeded, reply.total_tokens) == (60, False, 60)
    assert house.llm.report(1, quota(tokens=100), 60, success=False).quota_exceeded
    assert house.llm.usage(1) == {"tokens": 120, "calls": 1, "budget": 100}
    assert isinstance(error(house.think(permissions=quota(tokens=100))), QuotaExceeded)


def test_text_that_was_heard_is_paid_even_if_the_rest_is_cancelled() -> None:
    house = House()
    heard: list[str] = []
    asked = house.think(prompt="abcd", stream=True, on_text=heard.append)
    house.service.say(type="text", id=1, text="abcdefgh")
    asked.cancel()
    assert isinstance(error(asked), Cancelled)
    house.service.say(type="text", id=1, text="late")
    house.service.fail(1, "cancelled")
    assert heard == ["abcdefgh"]
    assert house.llm.usage(1) == {"tokens": 4, "calls": 1, "budget": 0}


def test_answer_that_crosses_a_cancel_is_paid_and_dropped() -> None:
    house = House()
    asked = house.think()
    asked.cancel()
    house.service.done(1)
    assert isinstance(error(asked), Cancelled)
    assert house.llm.usage(1)["tokens"] == 10
