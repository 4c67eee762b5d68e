"""Results of asynchronous requests."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from clove.errors import LimitExceeded
from clove.framing import MAX_REPLY
from clove.kernel.async_results import AsyncLimits, AsyncResults
from clove.messages import encode
from clove.messages.session import AsyncPollReply, AsyncResult


def result(number: int | str, payload: str = "{}") -> AsyncResult:
    return AsyncResult(request_id=number, opcode=2, opcode_name="EXEC", payload=payload)


def test_results_come_oldest_first_and_once() -> None:
    box = AsyncResults()
    for number in range(3):
        box.finish(1, result(box.open(1, f"r{number}")))
    assert [one.request_id for one in box.collect(1, 2)] == ["r0", "r1"]
    assert [one.request_id for one in box.collect(1, 2)] == ["r2"]
    assert box.collect(1, 2) == []


def test_a_caller_without_an_id_is_given_one() -> None:
    box = AsyncResults()
    assert box.open(1, None) != box.open(1, None)


def test_agents_do_not_see_each_others_results() -> None:
    box = AsyncResults()
    box.finish(1, result(box.open(1, "mine")))
    assert box.collect(2, 10) == []


def test_one_more_than_the_limit_is_refused() -> None:
    box = AsyncResults(AsyncLimits(max_open=2))
    box.open(1, None)
    box.finish(1, result(box.open(1, None)))
    with pytest.raises(LimitExceeded, match="asynchronous"):
        box.open(1, None)
    box.collect(1, 1)
    box.open(1, None)


def test_too_many_bytes_turn_the_oldest_into_errors() -> None:
    box = AsyncResults(AsyncLimits(max_bytes=3000))
    for number in range(3):
        box.open(1, number)
        box.finish(1, result(number, "x" * 2000))
    found = box.collect(1, 10)
    assert [len(one.payload) == 2000 for one in found] == [False, False, True]
    assert "limit_exceeded" in found[0].payload


def test_running_requests_are_cancelled_with_their_agent() -> None:
    cancelled: list[Deferred[None]] = []
    box = AsyncResults()
    box.open(1, None)
    task: Deferred[None] = Deferred(cancelled.append)
    task.addErrback(lambda _: None)
    box.track(1, task)
    box.close(1)
    assert cancelled == [task]
    box.finish(1, result(1))
    assert box.collect(1, 1) == []


def test_no_more_is_collected_than_one_reply_holds_and_nothing_is_lost() -> None:
    box = AsyncResults()
    for number in range(3):
        box.open(1, number)
        box.finish(1, result(number, '"' * (5 << 20)))  # twice that as a string in JSON
    sizes = []
    while found := box.collect(1, 10):
        reply = encode(AsyncPollReply(count=len(found), results=found))
        assert len(reply) <= MAX_REPLY
        sizes.append([len(one.payload) for one in found])
    assert sizes == [[5 << 20], [5 << 20], [5 << 20]]


def test_a_result_that_no_reply_could_hold_becomes_an_error() -> None:
    box = AsyncResults()
    for number in range(2):
        box.open(1, number)
    box.finish(1, result(0, '"' * (9 << 20)))
    box.finish(1, result(1, "{}"))
    first, second = box.collect(1, 10)
    assert "limit_exceeded" in first.payload
    assert second.payload == "{}"


def test_the_bytes_of_running_requests_and_the_length_of_an_id_are_bounded() -> None:
    box = AsyncResults(AsyncLimits(max_bytes=1000))
    first = box.open(1, None, 600)
    with pytest.raises(LimitExceeded, match="600"):
        box.open(1, None, 600)
    with pytest.raises(LimitExceeded, match="request_id"):
        box.open(1, "x" * 257)
    box.finish(1, result(first), 600)
    box.open(1, "x" * 256, 600)


def test_a_family_has_its_share_of_the_bytes_of_all_requests_and_results() -> None:
    box = AsyncResults(AsyncLimits(all_bytes=80_000))
    for agent_id in (10, 11):
        box.open(agent_id, None, 7000, family=10)
    with pytest.raises(LimitExceeded, match="your family of agents has"):
        box.open(12, None, 7000, family=10)
    box.open(20, None, 7000, family=20)
    box.finish(10, result(1, "x" * 6000), 7000)
    box.finish(11, result(2, "x" * 12_000), 7000)
    assert [len(one.payload) for one in box.collect(10, 1)] == [6000]
    [lost] = box.collect(11, 1)
    assert "limit_exceeded" in lost.payload
    box.open(12, None, 12_000, family=10)
    for agent_id in (10, 11, 12, 20):
        box.close(agent_id)
    assert (box._shares.used, box._shares.of(10)) == (0, 0)
