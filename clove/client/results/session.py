"""What the calls of `clove.messages.session` give. Made by tools/results.py: do not edit."""

from typing import TypedDict

from clove.client.results.base import Reply

__all__ = ["AsyncAccepted", "AsyncPollReply", "AsyncResult", "HelloReply"]


class HelloReply(Reply):
    """The version and features of this connection, and its principal."""

    protocol_version: int
    kernel_version: str
    features: list[str]
    agent_id: int
    resume: str


AsyncAccepted = TypedDict(
    "AsyncAccepted", {"success": bool, "async": bool, "request_id": str | int, "status": str}
)
"""The reply to a request with `"async": true`."""


class AsyncResult(TypedDict):
    """One finished asynchronous request. `payload` is its reply as JSON text."""

    request_id: str | int
    opcode: int
    opcode_name: str
    payload: str


class AsyncPollReply(Reply):
    """Finished asynchronous requests, oldest first."""

    count: int
    results: list[AsyncResult]
