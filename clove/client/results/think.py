"""What the calls of `clove.messages.think` give. Made by tools/results.py: do not edit."""

from typing import Any, NotRequired, TypedDict

from clove.client.results.base import Reply

__all__ = ["LLMReportReply", "ThinkReply", "ToolCall"]


class ToolCall(TypedDict):
    """A call that the model wants made, or wanted earlier in a conversation.

    @ivar signature: the provider's own mark; send it back unchanged with the
        call when the conversation goes on.
    """

    name: str
    arguments: dict[str, Any]
    id: str
    signature: str


class ThinkReply(Reply):
    """The model's answer; in a stream, `content` of every reply but the last is a piece of it.

    @ivar tokens: input and output together.
    @ivar queued_ms: time spent waiting for a turn.
    @ivar finish_reason: stop, max_tokens or tool_calls.
    @ivar tool_calls: what the model wants to be run; its caller decides.
    """

    content: str
    tokens: int
    input_tokens: int
    output_tokens: int
    model: str
    provider: str
    queued_ms: int
    error: str
    finish_reason: str
    tool_calls: list[ToolCall]
    request_id: NotRequired[str | int]
    status: NotRequired[str]


class LLMReportReply(Reply):
    """What the agent has used by now.

    @ivar tokens: as reported.
    @ivar total_tokens: all of the agent's, this report included.
    @ivar quota_exceeded: nothing is left for a THINK.
    """

    tokens: int
    quota_exceeded: bool
    total_tokens: int
    total_calls: int
