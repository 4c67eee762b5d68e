"""Partial replies to one request, as fast as the client reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clove.framing import MORE
from clove.messages import encode

if TYPE_CHECKING:
    from clove.channels.sender import Sender
    from clove.messages import Reply

__all__ = ["Stream"]

ReplyWith = Callable[[int, int, bytes, Sequence[int]], bool]

_SHARE = 4
"""Streams that can wait leave all but this part of a connection's limit to other replies."""


class Stream:
    """Sends partial replies. Call it with each; the last reply is sent elsewhere.

    @param sender: to the client; what that has not read waits there.
    @param reply: sends a payload for an opcode and a tag.
    @param reply_with: likewise with descriptors; False where that has to wait.
    """

    __slots__ = ("_number", "_opcode", "_reply", "_reply_with", "_sender")

    def __init__(
        self,
        sender: Sender,
        reply: Callable[[int, int, bytes], None],
        opcode: int,
        number: int,
        reply_with: ReplyWith | None = None,
    ) -> None:
        self._sender = sender
        self._reply = reply
        self._opcode = opcode
        self._number = number | MORE
        self._reply_with = reply_with

    def __call__(self, partial: Reply) -> None:
        """Send one more, at once; past the connection's limit it is cut off."""
        self._reply(self._opcode, self._number, encode(partial))

    @property
    def takes_descriptors(self) -> bool:
        """The client is at the other end of a Unix socket."""
        return self._reply_with is not None and self._sender.takes_descriptors

    async def send_descriptors(self, partial: Reply, descriptors: Sequence[int]) -> None:
        """Send a partial reply with descriptors, of which the client gets copies.

        @raise OSError: they cannot be sent.
        """
        assert self._reply_with is not None
        payload = encode(partial)
        while not self._reply_with(self._opcode, self._number, payload, descriptors):
            await self._sender.when_drained()

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
