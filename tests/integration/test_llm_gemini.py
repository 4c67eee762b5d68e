"""Thinking with the real service process and the real google-genai, against the fake Gemini."""

from __future__ import annotations

from typing import Any

import pytest

from clove.errors import CloveError, InvalidRequest, Unavailable
from clove.messages.think import Image, Message, Tool, ToolCall
from clove.testing.gemini_script import Behaviour
from tests.integration.gemini_house import KEY, house


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


EVERY_FIELD: dict[str, Any] = {
    "prompt": "and now?",
    "model": "models/gemini-y",
    "system_instruction": "Be kind.",
    "temperature": 0.5,
    "max_tokens": 77,
    "thinking_level": "high",
    "image": Image(data="aGVs\nbG8=", mime_type="image/jpeg"),
    "tools": [Tool(name="add", description="adds", parameters={"type": "object"})],
    "messages": [
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
}


async def test_every_field_arrives_where_gemini_expects_it() -> None:
    async with house() as one:
        one.fake.script.append(Behaviour(function_call={"name": "add", "args": {"x": 2}}))
        reply = await one.think(**EVERY_FIELD)
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


async def test_refusals_are_final_and_blame_the_right_side() -> None:
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


async def test_fake_refuses_what_gemini_refuses() -> None:
    async with house() as one:
        error = await one.error(model="unknown-model")
        assert isinstance(error, InvalidRequest)
        assert "404" in error.message
