"""Replies with warnings, and results of asynchronous requests, as dispatch makes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from clove.errors import LimitExceeded, NotFound
from tests.conftest import LoggedFailures
from tests.unit.kernel.dispatch_bench import NO_STORE, Answer, Bench, Question

# what was not wholly understood


def test_version_1_is_served_and_told_what_was_ignored() -> None:
    bench = Bench()
    found = bench.ask(b'{"word":"a","numbr":3}')
    assert found["success"]
    [warning] = found["warnings"]
    assert "numbr" in warning
    assert "number" in warning
    assert bench.call.seen[0][1] == Question(word="a")


def test_an_error_and_a_later_reply_carry_the_warning_as_well() -> None:
    bench = Bench()
    bench.call.answer = NotFound("no such key")
    assert bench.ask(b'{"numbr":3}')["warnings"]
    waiting: Deferred[Any] = Deferred()
    bench.call.answer = waiting
    reply = bench.answer(b'{"numbr":3}')
    waiting.callback(Answer())
    assert msgspec.json.decode(reply.result)["warnings"]


def test_an_array_stays_as_it_is() -> None:
    bench = Bench()
    bench.call.answer = b"[1,2]"
    assert bench.ask(b'{"numbr":3}') == [1, 2]


def test_version_2_is_refused_instead() -> None:
    bench = Bench()
    found = bench.ask(b'{"numbr":3}', stream=lambda: None)
    assert (found["success"], found["code"]) == (False, "invalid_request")
    assert bench.call.seen == []


def test_the_log_warns_of_one_agent_a_bounded_number_of_times() -> None:
    bench = Bench()
    for _ in range(5):
        assert bench.ask(b'{"numbr":3}')["warnings"]
    assert bench.caller.warned == 2


# asynchronous requests


def test_an_asynchronous_request_is_accepted_and_its_result_kept() -> None:
    bench = Bench()
    waiting: Deferred[Any] = Deferred()
    bench.call.answer = waiting
    accepted = bench.ask(b'{"async":true,"request_id":"mine"}')
    assert (accepted["success"], accepted["request_id"]) == (True, "mine")
    assert bench.collected == []
    waiting.callback(Answer(word="done"))
    assert bench.collected == [{"success": True, "word": "done"}]
    assert [entry[2] for entry in bench.entries] == [True]  # of the call, none of its acceptance


@pytest.mark.parametrize(
    ("error", "code"), [(NotFound("gone"), "not_found"), (KeyError("bug"), "internal_error")]
)
def test_what_goes_wrong_in_it_is_its_result(
    error: Exception, code: str, logged_failures: LoggedFailures
) -> None:
    bench = Bench()
    bench.call.answer = error
    assert bench.ask(b'{"async":true}')["success"]
    assert [result["code"] for result in bench.collected] == [code]
    logged_failures.flush(KeyError)


def test_one_too_many_is_refused_before_its_call() -> None:
    bench = Bench()
    bench.call.answer = Deferred()
    for _ in range(2):
        assert bench.ask(b'{"async":true}')["success"]
    assert bench.ask(b'{"async":true}')["code"] == LimitExceeded.code
    assert len(bench.call.seen) == 2
    bench.results.close(bench.caller.agent_id)


def test_one_without_permission_is_refused_at_once() -> None:
    bench = Bench(needs=("can_store",))
    bench.caller.permissions = NO_STORE
    assert bench.ask(b'{"async":true}')["code"] == "permission_denied"
    assert bench.collected == []
