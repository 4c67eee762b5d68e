"""What a THINK request may say."""

from __future__ import annotations

import json

import msgspec
import pytest

from clove.errors import InvalidRequest
from clove.llm.exchange import Ask, ask_line, decode_said, estimate_input
from clove.messages import decode, encode, read
from clove.messages.think import LLMReportRequest, ThinkReply, ThinkRequest, bad_model


def think(**fields: object) -> ThinkRequest:
    return decode(ThinkRequest, json.dumps({"prompt": "x", **fields}).encode())


def test_every_optional_field_may_be_null() -> None:
    names = "image system_instruction thinking_level temperature model max_tokens messages tools"
    assert think(**dict.fromkeys(names.split())) == ThinkRequest(prompt="x")


def test_async_is_read_by_its_own_name() -> None:
    assert think(**{"async": True, "request_id": 7}).async_


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": 1},
        {"image": {"data": "a", "mime_type": "image/png"}},
        {"image": {"data": "", "mime_type": "image/png"}},
        {"image": {"data": "aGk=", "mime_type": "text/html"}},
        {"image": {"data": "aGk=", "mime_type": "image/png\r\nX: y"}},
        {"image": {"data": "a-_=", "mime_type": "image/png"}},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"max_tokens": 0},
        {"thinking_level": "extreme"},
        {"messages": [{"role": "root", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"tools": [{"name": "bad name"}]},
        {"tools": [{"description": "nameless"}]},
    ],
)
def test_bad_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        think(**fields)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../files/secret",
        "models/../../v1/files",
        "a?key=b",
        "a:streamGenerateContent",
        "https://evil.example/x",
        "//evil.example",
        "/models/x",
        "x/",
        "a b",
        "a\nb",
        "a%2e%2e",
        "é",
        "a" * 129,
    ],
)
def test_model_names_that_could_leave_their_place_in_the_url_are_refused(name: str) -> None:
    assert bad_model(name)
    with pytest.raises(InvalidRequest):
        think(model=name)


@pytest.mark.parametrize(
    "name", ["gemini-flash-latest", "models/gemini-3.8-flash", "tunedModels/x"]
)
def test_usual_model_names_pass(name: str) -> None:
    assert think(model=name).model == name


@pytest.mark.parametrize("field", ["base_url", "headers", "http_options", "key", "endpoint"])
def test_unknown_fields_such_as_an_address_go_nowhere(field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"no field `{field}`"):
        think(**{field: "http://evil.example"})
    payload = b'{"prompt":"x","%b":"http://evil.example"}' % field.encode()
    request, [misfit] = read(ThinkRequest, payload, msgspec.ValidationError(), lenient=True)
    assert request == ThinkRequest(prompt="x")
    assert field in misfit.what
    assert b"evil" not in ask_line(1, request)


def test_base64_may_be_wrapped() -> None:
    request = think(image={"data": "aG\nk=\r\n", "mime_type": "image/jpeg"})
    assert request.image is not None
    assert request.image.compact() == "aGk="


def test_question_survives_its_line() -> None:
    request = think(
        system_instruction="s",
        temperature=0.5,
        messages=[{"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"x": [1]}}]}],
        tools=[{"name": "f", "parameters": {"type": "object"}}],
    )
    line = ask_line(9, request)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    again = decode(Ask, line)
    assert (again.id, again.prompt, again.tools, again.messages) == (
        9,
        "x",
        request.tools,
        request.messages,
    )


def test_estimate_counts_everything_that_is_said() -> None:
    small = estimate_input(think())
    assert small == 1
    assert estimate_input(think(system_instruction="abcd" * 10)) == small + 10
    assert estimate_input(think(messages=[{"role": "user", "content": "abcd" * 5}])) == small + 5
    assert estimate_input(think(tools=[{"name": "f", "description": "d" * 400}])) > 100


def test_reply_has_the_contract_s_fields_even_when_empty() -> None:
    fields = json.loads(encode(ThinkReply()))
    assert {
        "success",
        "content",
        "tokens",
        "input_tokens",
        "output_tokens",
        "model",
        "provider",
        "queued_ms",
        "error",
    } <= fields.keys()


@pytest.mark.parametrize("tokens", [-1, 10**10, "5", None, 1.5])
def test_reported_tokens_must_be_a_sane_number(tokens: object) -> None:
    with pytest.raises(InvalidRequest):
        decode(LLMReportRequest, json.dumps({"tokens": tokens}).encode())


@pytest.mark.parametrize("text", [b"", b"{}", b'{"type":"done"}', b'{"type":"x","id":1}', b"\xff"])
def test_what_the_service_must_not_say_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode_said(text)
