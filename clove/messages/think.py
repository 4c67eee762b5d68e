"""THINK and LLM_REPORT: a question to the model, and usage that a client had elsewhere.

Nothing here names an address, a header or a key: an agent chooses what is asked
and of which model, never where it goes.
"""

from __future__ import annotations

import binascii
import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "MODEL_PATTERN",
    "Image",
    "LLMReportReply",
    "LLMReportRequest",
    "Message",
    "ThinkReply",
    "ThinkRequest",
    "Tool",
    "ToolCall",
    "bad_model",
]

MODEL_PATTERN = r"^[A-Za-z0-9._/-]{1,128}$"

_MIME = re.compile(r"image/[a-z0-9][a-z0-9.+-]{0,63}", re.ASCII)
_ABSENT = type("Absent", (str,), {})()
_SPACE = str.maketrans("", "", " \t\r\n")

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$(?!\n)")]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


def bad_model(name: str) -> str:
    """Why a name cannot be a model's, or "" if it can.

    A name becomes part of a URL's path, so it must not climb out of it.
    """
    if not re.fullmatch(MODEL_PATTERN[1:-1], name, re.ASCII):
        return "a model's name has 1 to 128 letters, digits and . _ / -"
    if ".." in name or "//" in name or name[0] in "/." or name[-1] == "/":
        return "a model's name must not hold `..` or `//`, nor begin or end with `/`"
    return ""


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture beside the prompt.

    @ivar data: base64, standard alphabet; white space in it is ignored.
    @ivar mime_type: such as image/png.
    """

    data: str
    mime_type: str = "image/png"

    def __post_init__(self) -> None:
        """Check both fields; raises ValueError."""
        if not _MIME.fullmatch(self.mime_type):
            raise ValueError("image.mime_type must be of the form image/png")
        try:
            size = len(binascii.a2b_base64(self.data.translate(_SPACE), strict_mode=True))
        except ValueError as error:
            raise ValueError(f"image.data is not base64: {error}") from None
        if not size:
            raise ValueError("image.data is empty")

    def compact(self) -> str:
        """The base64 text without white space."""
        return self.data.translate(_SPACE)


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that the model wants made, or wanted earlier in a conversation.

    @ivar signature: the provider's own mark; send it back unchanged with the
        call when the conversation goes on.
    """

    name: Name
    arguments: dict[str, Any] = {}
    id: Annotated[str, msgspec.Meta(max_length=256)] = ""
    signature: Annotated[str, msgspec.Meta(max_length=65536)] = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One earlier turn of a conversation.

    @ivar content: may be left out where there are tool calls.
    @ivar name: for role `tool`, which tool's result `content` is.
    @ivar tool_call_id: for role `tool`, the `id` of the call, if it had one.
    """

    role: Literal["user", "assistant", "model", "system", "tool"]
    content: str = _ABSENT
    tool_calls: Annotated[list[ToolCall], msgspec.Meta(max_length=128)] = []
    name: Name | None = None
    tool_call_id: Annotated[str, msgspec.Meta(max_length=256)] = ""

    TOLERATED: ClassVar[dict[str, str]] = {"content": "tool_calls"}
    """What version 1 may leave out though nothing stands instead."""

    def __post_init__(self) -> None:
        """Check: a turn has a text, a tool's result names its call; raises ValueError."""
        if self.content is _ABSENT:
            if not self.tool_calls:
                raise ValueError("a message needs `content`, or `tool_calls`")
            msgspec.structs.force_setattr(self, "content", "")
        if self.role == "tool" and self.name is None:
            raise ValueError("a message of role `tool` needs the tool's `name`")


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function that the model may ask its caller to run.

    @ivar parameters: JSON schema of the arguments.
    """

    name: Name
    description: str = ""
    parameters: dict[str, Any] | None = None


class ThinkRequest(Request, frozen=True, kw_only=True):
    """A question to the model.

    `messages` come before `prompt`; one of the two must be there.

    @ivar model: None for the kernel's default.
    @ivar max_tokens: of the answer, thoughts included.
    """

    prompt: str = ""
    image: Image | None = None
    system_instruction: str | None = None
    thinking_level: Literal["low", "medium", "high"] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    model: Annotated[str, msgspec.Meta(pattern=MODEL_PATTERN)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    stream: bool = False
    messages: Annotated[list[Message], msgspec.Meta(max_length=1000)] | None = None
    tools: Annotated[list[Tool], msgspec.Meta(max_length=128)] | None = None
    async_: bool = msgspec.field(name="async", default=False)
    request_id: str | int | None = None

    def __post_init__(self) -> None:
        """Check what the types cannot say; raises ValueError."""
        if not self.prompt and not self.messages:
            raise ValueError("`prompt` is missing or empty, and there are no `messages`")
        problem = bad_model(self.model) if self.model is not None else ""
        if problem:
            raise ValueError(problem)


class ThinkReply(Reply, frozen=True, kw_only=True):
    """The model's answer; in a stream, `content` of every reply but the last is a piece of it.

    @ivar tokens: input and output together.
    @ivar queued_ms: time spent waiting for a turn.
    @ivar finish_reason: stop, max_tokens or tool_calls.
    @ivar tool_calls: what the model wants to be run; its caller decides.
    """

    content: str = ""
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    provider: str = ""
    queued_ms: int = 0
    error: str = ""
    finish_reason: str = ""
    tool_calls: list[ToolCall] = []


class LLMReportRequest(Request, frozen=True, kw_only=True):
    """Usage of a model that a client called by itself.

    @ivar success: a call that failed costs its tokens, but does not count as a call.
    """

    tokens: Tokens
    success: bool = True


class LLMReportReply(Reply, frozen=True, kw_only=True):
    """What the agent has used by now.

    @ivar tokens: as reported.
    @ivar total_tokens: all of the agent's, this report included.
    @ivar quota_exceeded: nothing is left for a THINK.
    """

    tokens: int = 0
    quota_exceeded: bool = False
    total_tokens: int = 0
    total_calls: int = 0
