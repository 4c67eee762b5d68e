"""Turns, quotas and time-outs of THINK, on a clock and with a service played by the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.errors import (
    Cancelled,
    CloveError,
    InvalidRequest,
    LimitExceeded,
    PermissionDenied,
    QuotaExceeded,
    TimedOut,
    Unavailable,
)
from clove.kernel.llm import LLM, LLMLimits, LLMSettings
from clove.messages.think import ThinkReply, ThinkRequest
from clove.policy import Permissions, for_level


class Service:
    """The pipes of one service process, held by the test."""

    pid = 4711

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.asked: list[dict[str, Any]] = []
        self.cancelled: list[int] = []
        self.signals: list[str] = []
        self.stdin_closed = False
        self.over = False
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        for line in data.splitlines():
            said = json.loads(line)
            if "cancel" in said:
                self.cancelled.append(said["cancel"])
            else:
                self.asked.append(said)

    def closeStdin(self) -> None:
        self.stdin_closed = True

    def signalProcess(self, name: str) -> None:
        if self.over:
            raise ProcessExitedAlready
        self.signals.append(name)

    def say(self, **message: object) -> None:
        self.protocol.outReceived(json.dumps(message).encode() + b"\n")

    def ready(self) -> None:
        self.say(type="ready", provider="offline", model="offline-1")

    def done(self, number: int, tokens: int = 10, content: str = "answer") -> None:
        self.say(
            type="done",
            id=number,
            content=content,
            input_tokens=4,
            output_tokens=tokens - 4,
            model="m",
            provider="p",
        )

    def fail(self, number: int | None, code: str = "unavailable", **fields: object) -> None:
        self.say(type="error", id=number, code=code, error="no", **fields)

    def die(self, signal: int | None = 9) -> None:
        self.over = True
        error = ProcessTerminated(signal=signal) if signal else ProcessDone(0)
        self.protocol.processEnded(Failure(error))


class Processes(Clock):
    """A clock that starts processes."""

    def __init__(self) -> None:
        super().__init__()
        self.services: list[Service] = []
        self.refuse = False

    def spawnProcess(self, protocol: Any, *args: Any, **kwargs: Any) -> Service:
        if self.refuse:
            raise OSError(11, "no more processes")
        self.services.append(Service(protocol))
        return self.services[-1]


class House:
    """An LLM whose service is ready, and what one asks it."""

    def __init__(self, ready: bool = True, **settings: Any) -> None:
        self.clock = Processes()
        limits = LLMLimits(**settings.pop("limits", {}))
        self.llm = LLM(self.clock, LLMSettings(limits=limits, **settings), {})
        self.llm.start()
        if ready:
            self.service.ready()

    @property
    def service(self) -> Service:
        return self.clock.services[-1]

    def think(
        self,
        agent: int = 1,
        prompt: str = "question",
        permissions: Permissions | None = None,
        on_text: Callable[[str], None] | None = None,
        **fields: Any,
    ) -> Deferred[ThinkReply]:
        asked = ThinkRequest(prompt=prompt, **fields)
        return self.llm.think(agent, permissions or quota(), asked, on_text)

    @property
    def order(self) -> list[str]:
        return [question["prompt"] for question in self.service.asked]

    def numbers(self) -> list[int]:
        return [question["id"] for question in self.service.asked]


def quota(calls: int = 0, tokens: int = 0) -> Permissions:
    return msgspec.structs.replace(
        for_level("standard"),
        max_llm_calls=calls,
        max_llm_tokens=tokens,
    )


def result(deferred: Deferred[ThinkReply]) -> ThinkReply:
    seen: list[Any] = []
    deferred.addBoth(seen.append)
    assert seen, "nothing yet"
    if isinstance(seen[0], Failure):
        seen[0].raiseException()
    assert isinstance(seen[0], ThinkReply)
    return seen[0]


def error(deferred: Deferred[ThinkReply]) -> CloveError:
    with pytest.raises(CloveError) as raised:
        result(deferred)
    return raised.value


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


def test_places_go_round_between_agents() -> None:
    house = House(limits={"max_concurrent": 1})
    asked = [house.think(1, f"a{n}") for n in range(3)] + [house.think(2, "b0")]
    for number in range(1, 5):
        house.service.done(number)
    assert house.order == ["a0", "a1", "b0", "a2"]
    assert all(result(one).success for one in asked)


def test_one_agent_cannot_take_every_place() -> None:
    house = House(limits={"max_concurrent": 3, "max_concurrent_per_agent": 2})
    asked = [house.think(1, "a") for _ in range(5)]
    assert house.order == ["a", "a"]
    asked.append(house.think(2, "b"))
    assert house.order == ["a", "a", "b"]
    for number in range(1, 7):
        house.service.done(number)
    assert all(result(one).success for one in asked)


def test_fifty_at_once_against_a_quota_of_five_calls_let_five_through() -> None:
    house = House(limits={"max_concurrent": 64, "max_concurrent_per_agent": 64})
    asked = [house.think(permissions=quota(calls=5)) for _ in range(50)]
    assert len(house.service.asked) == 5
    for number in house.numbers():
        house.service.done(number)
    assert len(house.service.asked) == 5
    assert sum(result(one).success for one in asked[:5]) == 5
    assert all(isinstance(error(one), QuotaExceeded) for one in asked[5:])


def test_failed_call_gives_its_place_in_the_quota_to_the_next() -> None:
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


def test_slow_answer_ends_after_its_time_and_frees_its_place_when_confirmed() -> None:
    house = House(limits={"timeout": 5, "max_concurrent": 1})
    first, second = house.think(), house.think()
    house.clock.advance(5)
    assert isinstance(error(first), TimedOut)
    assert house.service.cancelled == [1]
    house.service.fail(1, "cancelled")
    house.service.done(2)
    assert result(second).success


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


def test_answers_to_nobody_are_ignored() -> None:
    house = House()
    house.service.done(99)
    house.service.say(type="text", id=99, text="x")
    house.service.fail(None)
    assert house.service.signals == []


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


def test_only_offered_models_may_be_named() -> None:
    house = House(allowed_models=("good",))
    refused = error(house.think(model="other"))
    assert isinstance(refused, PermissionDenied)
    assert refused.rule == "llm.allowed_models"
    asked = house.think(model="good")
    house.service.done(1)
    assert result(asked).success


def test_gemini_without_a_key_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(InvalidRequest, match="key"):
        LLM(Clock(), LLMSettings(provider="gemini"), {})


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://u:p@x", "https://x/?key=1"])
def test_odd_addresses_are_mistakes_in_the_configuration(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        LLMSettings(base_url=url)
    with pytest.raises(InvalidRequest):
        LLM(Clock(), LLMSettings(), {"GEMINI_API_KEY": "k", "CLOVE_GEMINI_BASE_URL": url})


def test_provider_follows_from_the_key() -> None:
    def provider(**environ: str) -> str:
        return LLM(Clock(), LLMSettings(), environ).service.provider

    assert provider() == "offline"
    assert provider(GEMINI_API_KEY=" ") == "offline"
    assert provider(GOOGLE_API_KEY="k") == "gemini"
    assert LLM(
        Clock(), LLMSettings(provider="offline"), {"GEMINI_API_KEY": "k"}
    ).service.provider == ("offline")
