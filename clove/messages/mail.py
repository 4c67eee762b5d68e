"""SEND, RECV, BROADCAST, REGISTER and ACK: messages between agents."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "AckReply",
    "AckRequest",
    "BroadcastReply",
    "BroadcastRequest",
    "Mail",
    "RecvReply",
    "RecvRequest",
    "RegisterReply",
    "RegisterRequest",
    "SendReply",
    "SendRequest",
]

Ttl = Annotated[float, msgspec.Meta(gt=0)]


class SendRequest(Request, frozen=True, kw_only=True):
    """A message to one agent, by id or by name.

    @ivar message: any JSON.
    @ivar ttl: seconds after which it is thrown away unread.
    """

    message: msgspec.Raw
    to: int | None = None
    to_name: str | None = None
    ttl: Ttl | None = None


class SendReply(Reply, frozen=True, kw_only=True):
    """The id of the receiver, and the message's (ascending, and never used again)."""

    delivered_to: int = 0
    message_id: int = 0


class RecvRequest(Request, frozen=True, kw_only=True):
    """Take messages out of one's own mailbox, oldest first.

    @ivar wait: seconds to wait for the first; 0 answers at once.
    @ivar ack: with `manual` the messages come again unless ACK names them in time.
    """

    max: Annotated[int, msgspec.Meta(ge=1)] = 10
    wait: Annotated[float, msgspec.Meta(ge=0)] = 0
    ack: Literal["auto", "manual"] = "auto"


class Mail(msgspec.Struct, frozen=True, gc=False):
    """One message as its receiver sees it."""

    id: int
    from_: int = msgspec.field(name="from")
    from_id: int
    from_name: str
    message: msgspec.Raw
    age_ms: int


class RecvReply(Reply, frozen=True, kw_only=True):
    """Messages, oldest first."""

    count: int = 0
    messages: list[Mail] = []


class BroadcastRequest(Request, frozen=True, kw_only=True):
    """A message to every agent."""

    message: msgspec.Raw
    include_self: bool = False
    ttl: Ttl | None = None


class BroadcastReply(Reply, frozen=True, kw_only=True):
    """How many mailboxes took it; full ones did not."""

    delivered_count: int = 0


class RegisterRequest(Request, frozen=True, kw_only=True):
    """Take a name."""

    name: str


class RegisterReply(Reply, frozen=True, kw_only=True):
    """The caller's name and id."""

    agent_id: int = 0
    name: str = ""


class AckRequest(Request, frozen=True, kw_only=True):
    """Messages that were received with `"ack": "manual"` and are done with."""

    message_ids: Annotated[list[int], msgspec.Meta(max_length=10_000)]


class AckReply(Reply, frozen=True, kw_only=True):
    """How many of them were still leased; the others had gone back or were never leased."""

    acknowledged: int = 0
