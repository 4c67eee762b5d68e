"""Partial replies to one request, as fast as the client reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.framing import MORE
from clove.messages import encode

if TYPE_CHECKING:
    from clove.channels.sender import Sender
    from clove.messages import Reply

__all__ = ["Stream"]

_SHARE = 4
"""Streams that can wait leave all but this part of a connection's limit to other replies."""


class Stream:
    """Sends partial replies. Call it with each; the last reply is sent elsewhere.

    @param sender: to the client; what that has not read waits there.
    @param reply: sends a payload for an opcode and a tag.
    """

    __slots__ = ("_number", "_opcode", "_reply", "_sender")

    def __init__(
        self,
        sender: Sender,
        reply: Callable[[int, int, bytes], None],
        opcode: int,
        number: int,
    ) -> None:
        self._sender = sender
        self._reply = reply
        self._opcode = opcode
        self._number = number | MORE

    def __call__(self, partial: Reply) -> None:
        """Send one more, at once; past the connection's limit it is cut off."""
        self._reply(self._opcode, self._number, encode(partial))

    async def clear(self) -> None:
        """Wait while much of what was sent to the client is still to be read.

        A call that can make its partial replies when they are wanted waits for this before
        each: then a slow client is never cut off for what it has not read.
        """
        sender = self._sender
        while sender.backlog(sender.unsent) > sender.unsent_limit // _SHARE:
            if not sender.congested:  # others of the same agent's are
                return
            await sender.when_drained()
