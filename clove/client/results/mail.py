"""What the calls of `clove.messages.mail` give. Made by tools/results.py: do not edit."""

from typing import Any, TypedDict

from clove.client.results.base import Reply

__all__ = ["AckReply", "BroadcastReply", "Mail", "RecvReply", "RegisterReply", "SendReply"]


class SendReply(Reply):
    """The id of the receiver, and the message's (ascending, and never used again)."""

    delivered_to: int
    message_id: int


Mail = TypedDict(
    "Mail",
    {"id": int, "from": int, "from_id": int, "from_name": str, "message": Any, "age_ms": int},
)
"""One message as its receiver sees it."""


class RecvReply(Reply):
    """Messages, oldest first."""

    count: int
    messages: list[Mail]


class BroadcastReply(Reply):
    """How many mailboxes took it; full ones did not."""

    delivered_count: int


class RegisterReply(Reply):
    """The caller's name and id."""

    agent_id: int
    name: str


class AckReply(Reply):
    """How many of them were still leased; the others had gone back or were never leased."""

    acknowledged: int
