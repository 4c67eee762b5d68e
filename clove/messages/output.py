"""OUTPUT, INPUT, ATTACH, CLOSE_STREAM: an agent's streams as bytes; and payloads with bytes in them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from clove.errors import InvalidRequest
from clove.framing import join_binary, split_binary
from clove.messages.agents import TargetRequest
from clove.messages.base import Reply, encode, read

__all__ = [
    "MOST_OUTPUT",
    "AttachReply",
    "AttachRequest",
    "CloseStreamReply",
    "CloseStreamRequest",
    "InputReply",
    "InputRequest",
    "OutputReply",
    "OutputRequest",
    "Piece",
    "ResizeReply",
    "ResizeRequest",
    "encode_binary",
    "read_binary",
]

MOST_OUTPUT: Final = 8 << 20
"""Bytes in one reply of OUTPUT, at most: as base64 text they fit into a reply."""

Number = Annotated[int, msgspec.Meta(ge=1)] | None
"""Of a command of RUN, or of a connection of DIAL, whose streams are meant instead of the agent's."""
Offset = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Rows = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400 * 365)]


class OutputRequest(TargetRequest, frozen=True, kw_only=True):
    """Bytes of an agent's output from offset `since` on."""

    since: Offset = 0
    max: Annotated[int, msgspec.Meta(ge=1, le=MOST_OUTPUT)] = 1 << 20
    wait: Seconds = 0
    attached: bool = False
    binary: bool = False
    command: Number = None


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Whose so many bytes are."""

    stream: str
    size: int


class OutputReply(Reply, frozen=True, kw_only=True):
    """Bytes of both streams, in the order in which they were read."""

    agent_id: int = 0
    offset: int = 0
    data: bytes = b""
    pieces: list[Piece] = []
    next: int = 0
    lost: int = 0
    ended: bool = False


class InputRequest(TargetRequest, frozen=True, kw_only=True):
    """Bytes for an agent's standard input."""

    data: bytes = b""
    command: Number = None


class InputReply(Reply, frozen=True, kw_only=True):
    """The agent's pipe has taken so many bytes."""

    agent_id: int = 0
    accepted: int = 0


class AttachRequest(TargetRequest, frozen=True, kw_only=True):
    """Hold an agent's output for the sender, until it has ended and all is taken."""

    descriptors: bool = False


class AttachReply(Reply, frozen=True, kw_only=True):
    """First what begins, last that it has ended.

    @ivar input: what the agent's standard input is to one without its descriptor: `stream`, `terminal`, or
        nothing that could be written.
    """

    agent_id: int = 0
    offset: int = 0
    descriptors: list[str] = []
    input: str = ""
    ended: bool = False


class CloseStreamRequest(TargetRequest, frozen=True, kw_only=True):
    """Close the kernel's end of a stream."""

    stream: Literal["stdin", "stdout", "stderr"]
    command: Number = None


class CloseStreamReply(Reply, frozen=True, kw_only=True):
    """Whether it is closed now."""

    agent_id: int = 0
    closed: bool = False


class ResizeRequest(TargetRequest, frozen=True, kw_only=True):
    """The terminal that an agent, or a command in it, runs on has another size."""

    command: Number = None
    rows: Rows
    columns: Rows


class ResizeReply(Reply, frozen=True, kw_only=True):
    """The agent's terminal has that size now."""

    agent_id: int = 0


def encode_binary(reply: OutputReply) -> bytes:
    """A reply as a binary payload: its `data` as it is."""
    return join_binary(encode(msgspec.structs.replace(reply, data=b"")), reply.data)


def read_binary(payload: bytes) -> InputRequest:
    """INPUT from a binary payload.

    @raise InvalidRequest: it is none, or its JSON makes no sense for INPUT.
    """
    try:
        facts, data = split_binary(payload)
    except ValueError as error:
        raise InvalidRequest(f"bad request: {error}", hint="see docs/wire.md") from None
    try:
        request = msgspec.json.decode(facts, type=InputRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        request = read(InputRequest, facts, error)[0]
    if request.data:
        raise InvalidRequest("bad request: `data` stands twice, as text and as bytes")
    return msgspec.structs.replace(request, data=data)
