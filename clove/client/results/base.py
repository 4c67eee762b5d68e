"""What every reply has. Made by tools/results.py: do not edit."""

from typing import NotRequired, TypedDict

__all__ = ["Reply"]


class Reply(TypedDict):
    """A reply's JSON object.

    @ivar success: False without an exception is a result: a command that failed, say.
    @ivar warnings: on version 1 of the protocol: what of the request was not understood.
    """

    success: bool
    warnings: NotRequired[list[str]]
