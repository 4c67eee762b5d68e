"""What the calls of `clove.messages.output` give. Made by tools/results.py: do not edit."""

from typing import TypedDict

from clove.client.results.base import Reply

__all__ = ["AttachReply", "CloseStreamReply", "InputReply", "OutputReply", "Piece", "ResizeReply"]


class Piece(TypedDict):
    """Whose so many bytes are."""

    stream: str
    size: int


class OutputReply(Reply):
    """Bytes of both streams, in the order in which they were read."""

    agent_id: int
    offset: int
    data: bytes
    pieces: list[Piece]
    next: int
    lost: int
    ended: bool


class InputReply(Reply):
    """The agent's pipe has taken so many bytes."""

    agent_id: int
    accepted: int


class AttachReply(Reply):
    """First what begins, last that it has ended.

    @ivar input: what the agent's standard input is to one without its descriptor: `stream`, `terminal`, or
        nothing that could be written.
    """

    agent_id: int
    offset: int
    descriptors: list[str]
    input: str
    ended: bool


class CloseStreamReply(Reply):
    """Whether it is closed now."""

    agent_id: int
    closed: bool


class ResizeReply(Reply):
    """The agent's terminal has that size now."""

    agent_id: int
