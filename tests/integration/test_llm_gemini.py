"""Thinking with the real service process and the real google-genai, against the fake Gemini."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from clove.errors import Cancelled, CloveError, InvalidRequest, QuotaExceeded, TimedOut, Unavailable
from clove.kernel.llm import LLM, LLMLimits, LLMSettings
from clove.messages.think import Image, Message, ThinkReply, ThinkRequest, Tool, ToolCall
from clove.policy import Level, Permissions, for_level
from clove.testing.fake_gemini import FakeGemini
from clove.testing.gemini_script import Behaviour

KEY = "test-key-2f8c1b"
ENVIRON = {"PATH": os.environ["PATH"], "GEMINI_API_KEY": KEY}
reactor: Any = global_reactor


class House:
    """A kernel's LLM and the Gemini that it talks to."""

    def __init__(self, fake: FakeGemini, llm: LLM) -> None:
        self.fake = fake
        self.llm = llm

    def think(
        self,
        prompt: str = "hello there",
        agent: int = 1,
        permissions: Permissions | None = None,
        on_text: Callable[[str], None] | None = None,
        **fields: Any,
    ) -> Deferred[ThinkReply]:
        request = ThinkRequest(prompt=prompt, stream=on_text is not None, **fields)
        return self.llm.think(agent, permissions or quota(), request, on_text)

    async def error(self, *script: Behaviour, stream: bool = False, **fields: Any) -> CloveError:
        self.fake.script.extend(script)
        with pytest.raises(CloveError) as raised:
            await self.think(on_text=(lambda _: None) if stream else None, **fields)
        return raised.value

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            await deferLater(reactor, 0.005)


@asynccontextmanager
async def house(
    environ: dict[str, str] | None = None, limits: LLMLimits | None = None, **settings: Any
) -> AsyncIterator[House]:
    fake = FakeGemini(reactor, KEY)
    address = fake.start()
    settings.setdefault("base_url", address)
    settings.setdefault("retry_delay", 0.01)
    environ = {**(ENVIRON if environ is None else environ)}
    environ = {name: value.replace("FAKE", address) for name, value in environ.items()}
    llm = LLM(reactor, LLMSettings(limits=limits or LLMLimits(), **settings), environ)
    llm.start()
    try:
        yield House(fake, llm)
    finally:
        await llm.stop()
        await fake.stop()


def quota(calls: int = 0, tokens: int = 0) -> Permissions:
    full = for_level(Level.STANDARD)
    return msgspec.structs.replace(full, max_llm_calls=calls, max_llm_tokens=tokens)


def contents(path: str) -> str:
    with open(path) as file:
        return file.read()


def write_private(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)


async def outcomes(asked: Iterable[Deferred[ThinkReply]]) -> list[Any]:
    done = await DeferredList(list(asked), consumeErrors=True)
    return [value.value if isinstance(value, Failure) else value for _, value in done]


async def test_plain_question_is_put_and_billed_as_gemini_says() -> None:
    async with house(model="gemini-x") as one:
        one.fake.script.append(Behaviour(text="General Kenobi", thought="who greets me"))
        reply = await one.think()
        assert (reply.content, reply.provider, reply.model) == (
            "General Kenobi",
            "gemini",
            "gemini-x",
        )
        assert (reply.input_tokens, reply.output_tokens, reply.tokens) == (2, 5, 7)
        assert reply.finish_reason == "stop"
        (request,) = one.fake.requests
        assert request.path.endswith("/models/gemini-x:generateContent")
        assert request.headers["x-goog-api-key"] == KEY
        assert request.query == {}
        assert request.body["contents"] == [{"parts": [{"text": "hello there"}], "role": "user"}]
        assert one.llm.usage(1)["tokens"] == 7


async def test_every_field_arrives_where_gemini_expects_it() -> None:
    async with house() as one:
        one.fake.script.append(Behaviour(function_call={"name": "add", "args": {"x": 2}}))
        reply = await one.think(
            prompt="and now?",
            model="models/gemini-y",
            system_instruction="Be kind.",
            temperature=0.5,
            max_tokens=77,
            thinking_level="high",
            image=Image(data="aGVs\nbG8=", mime_type="image/jpeg"),
            tools=[Tool(name="add", description="adds", parameters={"type": "object"})],
            messages=[
                Message(role="system", content="Be brief."),
                Message(role="user", content="add 1"),
                Message(
                    role="assistant",
                    content="adding",
                    tool_calls=[ToolCall(name="add", arguments={"x": 1}, signature="c2lnbmVk")],
                ),
                Message(role="tool", name="add", content='{"sum": 1}'),
                Message(role="model", content="1"),
            ],
        )
        request = one.fake.requests[-1]
        assert request.path.endswith("/models/gemini-y:generateContent")
        body = request.body
        assert body["systemInstruction"]["parts"] == [{"text": "Be kind.\n\nBe brief."}]
        assert body["generationConfig"] == {
            "temperature": 0.5,
            "maxOutputTokens": 77,
            "thinkingConfig": {"thinkingLevel": "HIGH"},
        }
        (declared,) = body["tools"][0]["functionDeclarations"]
        assert declared["parametersJsonSchema"] == {"type": "object"}
        roles = [turn["role"] for turn in body["contents"]]
        assert roles == ["user", "model", "user", "model", "user"]
        assert body["contents"][1]["parts"][1] == {
            "functionCall": {"name": "add", "args": {"x": 1}},
            "thoughtSignature": "c2lnbmVk",
        }
        assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"sum": 1}
        assert body["contents"][4]["parts"] == [
            {"inlineData": {"mimeType": "image/jpeg", "data": "aGVsbG8="}},
            {"text": "and now?"},
        ]
        assert reply.finish_reason == "tool_calls"
        (call,) = reply.tool_calls
        assert (call.name, call.arguments, call.signature) == ("add", {"x": 2}, "c2lnbmVk")

        await one.think(model="gemini-2.5-flash", thinking_level="low")
        config = one.fake.requests[-1].body["generationConfig"]
        assert config["thinkingConfig"] == {"thinkingBudget": 1024}


async def test_stream_gives_the_text_as_it_comes_and_the_whole_at_the_end() -> None:
    async with house() as one:
        one.fake.script.append(Behaviour(text="a b c d", chunks=4, thought="hm"))
        heard: list[str] = []
        reply = await one.think(on_text=heard.append)
        assert heard == ["a", " b", " c", " d"]
        assert (reply.content, reply.output_tokens) == ("a b c d", 5)
        assert one.fake.requests[-1].path.endswith(":streamGenerateContent")


async def test_stream_that_is_cut_is_an_error_and_what_was_heard_is_billed() -> None:
    async with house() as one:
        heard: list[str] = []
        one.fake.script.append(Behaviour(text="a b c d", cut_after=2))
        with pytest.raises(Unavailable, match="cut off"):
            await one.think(on_text=heard.append)
        assert heard == ["a", " b"]
        assert one.llm.usage(1) == {"tokens": 4, "calls": 1, "budget": 0}
        for stream in (False, True):
            error = await one.error(Behaviour(unfinished=True), stream=stream)
            assert isinstance(error, Unavailable)
        assert len(one.fake.requests) == 3  # none of them was asked again


async def test_busy_provider_is_asked_again_a_bounded_number_of_times() -> None:
    async with house(attempts=3) as one:
        for stream in (None, lambda _: None):
            one.fake.requests.clear()
            one.fake.script.extend([Behaviour(status=429, retry_delay=0.02), Behaviour(status=503)])
            assert (await one.think(on_text=stream)).content == "You said: hello there"
            assert len(one.fake.requests) == 3
        one.fake.requests.clear()
        error = await one.error(*[Behaviour(status=500)] * 3)
        assert isinstance(error, Unavailable)
        assert error.hint
        assert len(one.fake.requests) == 3


async def test_refusals_are_final_and_say_whose_fault_they_are() -> None:
    async with house() as one:
        cases: list[tuple[Behaviour, type[CloveError]]] = [
            (Behaviour(status=400), InvalidRequest),
            (Behaviour(status=404), InvalidRequest),
            (Behaviour(status=403), Unavailable),
            (Behaviour(block_reason="SAFETY"), InvalidRequest),
            (Behaviour(finish_reason="SAFETY"), InvalidRequest),
            (Behaviour(raw="<html>"), Unavailable),
            (Behaviour(raw='{"candidates": 7}'), Unavailable),
            (Behaviour(function_call={"name": "no such\nname"}), Unavailable),
        ]
        for behaviour, kind in cases:
            for stream in (False, True):
                one.fake.requests.clear()
                error = await one.error(behaviour, stream=stream)
                assert type(error) is kind, (behaviour, error)
                assert len(one.fake.requests) == 1, behaviour
        assert (await one.think()).success


async def test_answer_is_not_continued_unasked() -> None:
    async with house() as one:
        one.fake.script.append(Behaviour(finish_reason="CONTINUATION"))
        assert (await one.think()).finish_reason == "max_tokens"
        assert len(one.fake.requests) == 1


async def test_key_is_in_no_error_even_if_the_provider_repeats_it() -> None:
    async with house() as one:
        for status in (400, 403, 500):
            error = await one.error(*[Behaviour(status=status, message=f"bad key {KEY}!")] * 4)
            assert KEY not in repr(error.fields())
            assert "[key]" in error.message
            one.fake.script.clear()


async def test_wrong_key_is_the_operator_s_to_mend() -> None:
    async with house({**ENVIRON, "GEMINI_API_KEY": "another-key"}) as one:
        error = await one.error()
        assert isinstance(error, Unavailable)
        assert "key" in error.hint
        assert "another-key" not in repr(error.fields())


async def test_redirect_does_not_carry_the_key_away() -> None:
    async with house() as one, house() as other:
        for stream in (False, True):
            error = await one.error(Behaviour(redirect=f"{other.fake.url}/v1/x"), stream=stream)
            assert isinstance(error, Unavailable)
        assert not other.fake.requests


async def test_service_gets_the_key_and_nothing_else_of_the_environment() -> None:
    environ = {**ENVIRON, "LANG": "C.UTF-8", "HTTP_PROXY": "http://127.0.0.1:9", "OTHER": "x"}
    environ |= {"ALL_PROXY": "http://127.0.0.1:9", "PYTHONPATH": "/nowhere"}
    async with house(environ) as one:
        assert (await one.think()).success  # not through the proxy
        pid = one.llm.service.pid
        if os.geteuid() == 0:
            entries = contents(f"/proc/{pid}/environ").split("\0")
            names = {entry.partition("=")[0] for entry in entries if entry}
            assert names == {"PATH", "LANG", "GEMINI_API_KEY"}
        assert KEY not in contents(f"/proc/{pid}/cmdline")


async def test_address_may_come_from_the_kernel_s_environment() -> None:
    environ = {**ENVIRON, "CLOVE_GEMINI_BASE_URL": "FAKE"}
    async with house(environ, base_url="", api_version="v1beta") as one:
        assert (await one.think()).success
        assert one.fake.requests[-1].path.startswith("/v1beta/")


async def test_key_may_come_from_a_file_and_be_in_no_environment(short_dir: str) -> None:
    path = os.path.join(short_dir, "key")
    write_private(path, f"{KEY}\n")
    async with house({"PATH": os.environ["PATH"]}, key_file=path) as one:
        assert (await one.think()).provider == "gemini"
        assert one.fake.requests[-1].headers["x-goog-api-key"] == KEY


async def test_no_more_questions_run_at_once_than_allowed() -> None:
    limits = LLMLimits(max_concurrent=3, max_concurrent_per_agent=2)
    async with house(limits=limits) as one:
        one.fake.default = Behaviour(delay=0.05)
        asked = [one.think(agent=number % 2) for number in range(12)]
        assert all(reply.success for reply in await outcomes(asked))
        assert one.fake.most_active == 3


async def test_fifty_at_once_against_a_quota_of_five_calls_reach_gemini_five_times() -> None:
    async with house() as one:
        asked = [one.think(permissions=quota(calls=5)) for _ in range(50)]
        results = await outcomes(asked)
        assert sum(isinstance(reply, ThinkReply) for reply in results) == 5
        assert sum(isinstance(reply, QuotaExceeded) for reply in results) == 45
        assert len(one.fake.requests) == 5


async def test_cancelled_question_ends_its_connection_and_gives_back_its_call() -> None:
    async with house() as one:
        one.fake.script.append(Behaviour(delay=30))
        asked = one.think(permissions=quota(calls=1))
        await one.until(lambda: one.fake.active == 1)
        asked.cancel()
        with pytest.raises(Cancelled):
            await asked
        await one.until(lambda: one.fake.active == 0)
        assert (await one.think(permissions=quota(calls=1))).success


async def test_slow_answer_times_out_while_others_are_served() -> None:
    async with house(limits=LLMLimits(timeout=1.5, max_concurrent=2)) as one:
        assert (await one.think()).success  # the service is up
        one.fake.script.append(Behaviour(delay=30))
        slow = one.think()
        await one.until(lambda: one.fake.active == 1)
        assert (await one.think()).success
        with pytest.raises(TimedOut):
            await slow
        await one.until(lambda: one.fake.active == 0)


async def test_killed_service_fails_what_it_had_and_comes_back_for_what_waits() -> None:
    async with house(limits=LLMLimits(max_concurrent=1)) as one:
        one.fake.script.append(Behaviour(delay=30))
        lost = one.think(permissions=quota(calls=1))
        waiting = one.think(permissions=quota(calls=1))
        await one.until(lambda: one.fake.active == 1)
        pid = one.llm.service.pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await lost
        assert (await waiting).success
        assert one.llm.service.pid not in (0, pid)
        assert one.llm.usage(1)["calls"] == 1


async def test_unreachable_provider_is_said_to_be() -> None:
    async with house(base_url="http://127.0.0.1:9", attempts=2) as one:
        error = await one.error()
        assert isinstance(error, Unavailable)
        assert "connection" in error.message


async def test_fake_refuses_what_gemini_refuses() -> None:
    async with house() as one:
        error = await one.error(model="unknown-model")
        assert isinstance(error, InvalidRequest)
        assert "404" in error.message
