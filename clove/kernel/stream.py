"""Partial replies to one request, at the pace of who reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.framing import MORE
from clove.messages import encode

if TYPE_CHECKING:
    from clove.messages import Reply
    from clove.protocol import FrameProtocol

__all__ = ["Stream"]

_SHARE = 4
"""Streams that can wait leave all but this part of a connection's limit to other replies."""


class Stream:
    """Sends partial replies. Call it with each; the last reply is sent elsewhere.

    @param connection: the client's; what it has not read waits there.
    @param reply: sends a payload for an opcode and a tag.
    """

    __slots__ = ("_connection", "_number", "_opcode", "_reply")

    def __init__(
        self,
        connection: FrameProtocol,
        reply: Callable[[int, int, bytes], None],
        opcode: int,
        number: int,
    ) -> None:
        self._connection = connection
        self._reply = reply
        self._opcode = opcode
        self._number = number | MORE

    def __call__(self, partial: Reply) -> None:
        """Send one more, at once; past the connection's limit it is cut off."""
        self._reply(self._opcode, self._number, encode(partial))

    async def clear(self) -> None:
        """Wait while much of what was sent to the client is still to be read.

        Who can make its partial replies when they are wanted waits for this before
        each: then a slow client is never cut off for what it has not read.
        """
        connection = self._connection
        while connection.backlog(connection.unsent) > connection.unsent_limit // _SHARE:
            if not connection.congested:  # others of the same agent's are
                return
            await connection.when_drained()
