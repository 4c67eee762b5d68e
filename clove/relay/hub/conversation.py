"""The first messages of a connection, one after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
from twisted.internet.defer import Deferred

from clove.errors import InvalidRequest, Unavailable
from clove.messages.relay import AuthError

if TYPE_CHECKING:
    from clove.channels.websocket_messages import MessageSocket

__all__ = ["Conversation", "Refusal"]

MOST_WAITING: Final = 16


class Refusal(Exception):
    """The other side is told this, and the connection is closed."""

    def __init__(self, error: str, code: str, hint: str = "") -> None:
        super().__init__(error)
        self.answer = AuthError(error=error, code=code, hint=hint)


class Conversation:
    """Receives for a connection until it is known who is there.

    @ivar rest: text messages that nobody has asked for yet.
    @ivar wanted, machine_id: what it asked to be, and at which machine; "" before.
    """

    def __init__(self, socket: MessageSocket) -> None:
        self.socket = socket
        self.wanted = self.machine_id = ""
        self.rest: deque[bytes] = deque()
        self._waiting: Deferred[bytes] | None = None
        self._closed = False
        socket.receiver = self

    async def next_text(self) -> bytes:
        """The next message.

        @raise Unavailable: the connection is gone.
        """
        if self.rest:
            return self.rest.popleft()
        if self._closed:
            raise Unavailable("the connection is gone")
        self._waiting = Deferred()
        return await self._waiting

    def say(self, message: object) -> None:
        """Send a message."""
        self.socket.send_text(msgspec.json.encode(message))

    def check_open(self) -> None:
        """@raise Unavailable: the connection is gone."""
        if self._closed:
            raise Unavailable("the connection is gone")

    # the connection's receiver

    def text_received(self, text: bytes) -> None:
        """A message came."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(text)
        elif len(self.rest) < MOST_WAITING:
            self.rest.append(text)
        else:
            self.socket.end("wait for the answer")

    def binary_received(self, data: bytes) -> None:
        """There are none before the answer."""
        self._fail(InvalidRequest("the first messages are JSON texts"))

    def writable(self) -> None:
        """Little is written here."""

    def closed(self, reason: str) -> None:
        """It is gone."""
        self._closed = True
        self._fail(Unavailable(reason))

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.errback(error)
