"""READ and WRITE."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from clove.messages.base import Reply, Request

__all__ = ["AgentRef", "Encoding", "ReadReply", "ReadRequest", "WriteReply", "WriteRequest"]

Encoding = Literal["utf-8", "base64"]

AgentRef = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    | Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)]
)
"""A name, or an id."""

_Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class ReadRequest(Request, frozen=True, kw_only=True):
    """Read a file, or `limit` bytes of it from `offset`. `agent`: one of that agent's (operators)."""

    path: str
    agent: AgentRef | None = None
    offset: _Size = 0
    limit: _Size | None = None
    encoding: Encoding = "utf-8"


class ReadReply(Reply, frozen=True, kw_only=True):
    """What was read; `size` is the whole file's size in bytes."""

    content: str = ""
    size: int = 0


class WriteRequest(Request, frozen=True, kw_only=True):
    """Replace a file's content (`write`) or add to its end (`append`)."""

    path: str
    content: str
    agent: AgentRef | None = None
    mode: Literal["write", "append"] = "write"
    encoding: Encoding = "utf-8"


class WriteReply(Reply, frozen=True, kw_only=True):
    """How many bytes were written."""

    bytes_written: int = 0
