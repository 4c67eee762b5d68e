"""Between this exchange and google-genai's types. Pure, but imports the library."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
from google.genai import types

from clove.errors import CloveError, InvalidRequest, LimitExceeded, Unavailable
from clove.llm.exchange import Ask, Done, count_tokens, estimate_input
from clove.llm.provider import Spent
from clove.messages.think import Image, Message, ToolCall

__all__ = ["Collected", "config", "contents"]

_ENDINGS = {
    types.FinishReason.STOP: "stop",
    types.FinishReason.MAX_TOKENS: "max_tokens",
    types.FinishReason.CONTINUATION: "max_tokens",
}
_BUDGETS = {"low": 1024, "medium": 8192, "high": 24576}
"""Thinking tokens for models that have budgets instead of levels (Gemini 2)."""


def contents(ask: Ask) -> list[types.Content]:
    """The conversation, the prompt with its picture last.

    @raise InvalidRequest: nothing is said in it.
    """
    turns: list[types.Content] = []
    for message in ask.messages or ():
        if message.role != "system":
            _append(turns, "model" if _is_model(message) else "user", _parts(message))
    last = [] if ask.image is None else [_picture(ask.image)]
    if ask.prompt:
        last.append(types.Part(text=ask.prompt))
    _append(turns, "user", last)
    if not turns:
        raise InvalidRequest("there is no prompt and no message with content")
    return turns


def config(ask: Ask, model: str) -> types.GenerateContentConfig:
    """Everything else that a question says. No part of it names an address."""
    system = [ask.system_instruction or ""]
    system += [message.content for message in ask.messages or () if message.role == "system"]
    return types.GenerateContentConfig(
        system_instruction="\n\n".join(text for text in system if text) or None,
        temperature=ask.temperature,
        max_output_tokens=ask.max_tokens,
        thinking_config=_thinking(ask.thinking_level, model),
        tools=_tools(ask),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,  # each continuation would be billed unasked
    )


class Collected:
    """An answer as it comes, in one piece or many."""

    def __init__(self, ask: Ask, model: str, most: int) -> None:
        """Begin an answer of at most so many bytes of text."""
        self._ask = ask
        self._model = model
        self._most = most
        self._size = 0
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._ending: types.FinishReason | None = None
        self._blocked = ""
        self._usage: types.GenerateContentResponseUsageMetadata | None = None

    @property
    def begun(self) -> bool:
        """A part of the answer is there already."""
        return bool(self._size or self._calls)

    def add(self, response: types.GenerateContentResponse) -> str:
        """Take a piece; gives its text, without the model's thoughts.

        @raise LimitExceeded: the answer is too long.
        """
        self._usage = response.usage_metadata or self._usage
        self._model = response.model_version or self._model
        feedback = response.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            self._blocked = feedback.block_reason.name
        text = ""
        for candidate in (response.candidates or [])[:1]:
            self._ending = candidate.finish_reason or self._ending
            for part in (candidate.content and candidate.content.parts) or ():
                if part.text and not part.thought:
                    text += part.text
                if part.function_call is not None:
                    self._calls.append(self._call(part))
        self._size += len(text.encode("utf-8", "replace"))
        if self._size > self._most:
            raise self.spent(LimitExceeded(f"the answer has more than {self._most} bytes"))
        self._texts.append(text)
        return text

    def done(self) -> Done:
        """The whole answer.

        @raise Unavailable: it was cut off (no finish reason came).
        @raise InvalidRequest: the provider blocked it.
        @raise Spent: either of them, when it was billed.
        """
        if self._blocked or (self._ending is not None and self._ending not in _ENDINGS):
            name = self._blocked or str(self._ending and self._ending.name)
            raise self.spent(
                InvalidRequest(f"the provider gave no answer: {name}", hint="ask in another way")
            )
        if self._ending is None:
            raise self.spent(Unavailable("the answer was cut off", hint="ask again"))
        ending = _ENDINGS[self._ending]
        input_tokens, output_tokens = self._tokens()
        return Done(
            id=self._ask.id,
            content="".join(self._texts),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            model=self._model,
            provider="gemini",
            finish_reason="tool_calls" if self._calls and ending == "stop" else ending,
            tool_calls=self._calls,
        )

    def spent(self, error: CloveError) -> CloveError:
        """An error, with what the provider has billed so far."""
        if self._usage is None and not self._size:
            return error
        return Spent(error, *self._tokens())

    def _call(self, part: types.Part) -> ToolCall:
        wanted = part.function_call or types.FunctionCall()
        fields = {
            "name": wanted.name,
            "arguments": wanted.args or {},
            "id": wanted.id or "",
            "signature": base64.b64encode(part.thought_signature or b"").decode("ascii"),
        }
        try:
            return msgspec.convert(fields, ToolCall)
        except msgspec.ValidationError:
            raise self.spent(Unavailable("the model made a malformed function call")) from None

    def _tokens(self) -> tuple[int, int]:
        """What was billed; estimated where the provider does not say."""
        usage = self._usage
        if usage is None:
            return estimate_input(self._ask), count_tokens("".join(self._texts))
        given = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
        made = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        return given, max(made, (usage.total_token_count or 0) - given)


def _is_model(message: Message) -> bool:
    return message.role in ("assistant", "model")


def _append(turns: list[types.Content], role: str, parts: list[types.Part]) -> None:
    """Add parts to the last turn if it has the same role, else a new turn."""
    if not parts:
        return
    if turns and turns[-1].role == role:
        turns[-1].parts = [*(turns[-1].parts or ()), *parts]
    else:
        turns.append(types.Content(role=role, parts=parts))


def _parts(message: Message) -> list[types.Part]:
    if message.role == "tool":
        response = types.FunctionResponse(
            id=message.tool_call_id or None,
            name=message.name,
            response=_as_object(message.content),
        )
        return [types.Part(function_response=response)]
    parts = [types.Part(text=message.content)] if message.content else []
    for call in message.tool_calls if _is_model(message) else ():
        wanted = types.FunctionCall(id=call.id or None, name=call.name, args=call.arguments)
        parts.append(types.Part(function_call=wanted, thought_signature=_signature(call)))
    return parts


def _signature(call: ToolCall) -> bytes | None:
    try:
        return base64.b64decode(call.signature, validate=True) or None
    except ValueError:
        raise InvalidRequest("a tool call's signature is not what the model gave") from None


def _as_object(content: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = content
    return value if isinstance(value, dict) else {"result": value}


def _picture(image: Image) -> types.Part:
    data = base64.b64decode(image.compact())
    return types.Part(inline_data=types.Blob(data=data, mime_type=image.mime_type))


def _thinking(level: str | None, model: str) -> types.ThinkingConfig | None:
    if level is None:
        return None
    if model.rpartition("/")[2].startswith("gemini-2"):
        return types.ThinkingConfig(thinking_budget=_BUDGETS[level])
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel(level.upper()))


def _tools(ask: Ask) -> list[Any] | None:
    if not ask.tools:
        return None
    declared = [
        types.FunctionDeclaration(
            name=tool.name,
            description=tool.description or None,
            parameters_json_schema=tool.parameters,
        )
        for tool in ask.tools
    ]
    return [types.Tool(function_declarations=declared)]
