"""HELLO, EXIT, CANCEL and ASYNC_POLL: the connection itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "AsyncAccepted",
    "AsyncPollReply",
    "AsyncPollRequest",
    "AsyncResult",
    "EmptyRequest",
    "HelloReply",
    "HelloRequest",
]


class EmptyRequest(Request, frozen=True, kw_only=True):
    """A request without fields."""


class HelloRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Ask for a protocol version, and for an earlier identity.

    Unknown fields are ignored: a client does not know the kernel's version yet.
    """

    protocol_version: Annotated[int, msgspec.Meta(ge=1)] = 1
    resume: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class HelloReply(Reply, frozen=True, kw_only=True):
    """The version and features of this connection, and its principal."""

    protocol_version: int = 1
    kernel_version: str = ""
    features: list[str] = []
    agent_id: int = 0
    resume: str = ""


class AsyncAccepted(Reply, frozen=True, kw_only=True):
    """The reply to a request with `"async": true`."""

    async_: bool = msgspec.field(name="async", default=True)
    request_id: str | int = ""
    status: str = "accepted"


class AsyncPollRequest(Request, frozen=True, kw_only=True):
    """Collect results of asynchronous requests."""

    max: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


class AsyncResult(msgspec.Struct, frozen=True, kw_only=True):
    """One finished asynchronous request. `payload` is its reply as JSON text."""

    request_id: str | int
    opcode: int
    opcode_name: str
    payload: str


class AsyncPollReply(Reply, frozen=True, kw_only=True):
    """Finished asynchronous requests, oldest first."""

    count: int = 0
    results: list[AsyncResult] = []
