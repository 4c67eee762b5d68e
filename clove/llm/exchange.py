"""What kernel and LLM service say to each other, one JSON object a line. Pure.

`docs/thinking.md` describes it. The kernel says `Ask` and `Cancel`; the service
says `Ready` once, and for each request any number of `Text` and then exactly
one `Done` or `Failed`.
"""

from __future__ import annotations

import msgspec

from clove.messages.think import ThinkRequest, ToolCall

__all__ = [
    "LINE_SLACK",
    "PIECE",
    "Ask",
    "Cancel",
    "Done",
    "Failed",
    "Ready",
    "Said",
    "Text",
    "ask_line",
    "count_tokens",
    "decode_said",
    "estimate_input",
    "line",
]

LINE_SLACK = 1 << 18
"""Bytes that a line of the service may have beyond the limit of an answer's text."""
PIECE = 1 << 15
"""Characters of a `Text` at most; the service splits longer ones."""
IMAGE_TOKENS = 1290
"""What a picture is estimated at (Gemini bills 258 for each tile; few need more than 5)."""


class Ask(ThinkRequest, frozen=True, kw_only=True, omit_defaults=True):
    """A question with the number that its answers bear."""

    id: int


class Cancel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Abandon a question. Answered by a `Failed` of code `cancelled`, unless it was over."""

    cancel: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ready"):
    """The service takes questions."""

    provider: str
    model: str


class Text(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A piece of the answer to a question with `stream`."""

    id: int
    text: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="done"):
    """The whole answer."""

    id: int
    content: str
    input_tokens: int
    output_tokens: int
    model: str
    provider: str
    finish_reason: str = "stop"
    tool_calls: list[ToolCall] = []


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """There will be no answer.

    @ivar id: None when the line could not be read that far.
    @ivar input_tokens, output_tokens: what the provider charged all the same.
    """

    id: int | None
    code: str
    error: str
    hint: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


Said = Ready | Text | Done | Failed

_encoder = msgspec.json.Encoder()
_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def line(message: Ask | Cancel | Said) -> bytes:
    """A message as a line with its newline."""
    return _encoder.encode(message) + b"\n"


def ask_line(number: int, request: ThinkRequest) -> bytes:
    """A request as the line that asks it."""
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    return line(Ask(id=number, **{**fields, "async_": False, "request_id": None}))


def decode_said(text: bytes) -> Said:
    """What the service said.

    @raise ValueError: it is not a message of this exchange (msgspec's and
        Unicode's errors are ValueErrors).
    """
    return _said.decode(text)


def count_tokens(text: str) -> int:
    """The documented rule: one token for every 4 bytes of UTF-8, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def estimate_input(request: ThinkRequest) -> int:
    """Tokens of a request by the same rule, each text rounded up by itself."""
    total = count_tokens(request.prompt) + count_tokens(request.system_instruction or "")
    for message in request.messages or ():
        total += count_tokens(message.content)
        if message.tool_calls:
            total += _size(message.tool_calls)
    if request.tools:
        total += _size(request.tools)
    return total + (IMAGE_TOKENS if request.image is not None else 0)


def _size(value: object) -> int:
    return (len(_encoder.encode(value)) + 3) // 4
