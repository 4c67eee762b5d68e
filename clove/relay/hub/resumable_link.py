"""A link whose peer may come back over another connection, for a while."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from clove.channels.link_receiver import LinkReceiver
from clove.channels.session import BrokenLink

if TYPE_CHECKING:
    from clove.channels.multiplex import Multiplex
    from clove.channels.websocket_messages import MessageSocket
    from clove.relay.hub.limits import HubLimits

__all__ = ["ResumableLink"]

MESSAGE: Final = 1 << 18
"""Bytes of a message on a link."""


class ResumableLink:
    """Over one connection at a time, or none until it ends.

    @cvar peer: what is at its other end, in words.
    @ivar session: what a reconnection has to name; a secret of that peer and this relay.
    """

    __slots__ = ("_clock", "_draining", "_expiry", "_limits", "_socket", "link", "session")
    version = 2
    peer = "the peer"
    link: Multiplex

    def __init__(self, clock: Any, limits: HubLimits) -> None:
        self.session = secrets.token_hex(16)
        self._clock = clock
        self._limits = limits
        self._socket: MessageSocket | None = None
        self._expiry: Any = None
        self._draining = False

    def attach(self, socket: MessageSocket, received: int) -> None:
        """Go on over a connection, which has proved itself.

        @raise BrokenLink: it says to have received what was never sent.
        """
        self._stop_expiry()
        earlier, self._socket = self._socket, None
        if earlier is not None:
            earlier.receiver = None
            earlier.abort()
            self.link.detach()
        socket.allow(MESSAGE)
        socket.receiver = LinkReceiver(self.link, lambda reason: self._cut(socket))
        try:
            self.link.attach(socket, received)
        except BrokenLink as error:
            self.end(str(error))
            raise
        self._socket = socket
        self._attached()

    def end(self, reason: str) -> None:
        """End it: its channels are lost. Idempotent."""
        self.link.end(reason)

    def _cut(self, socket: MessageSocket) -> None:
        if self._socket is not socket:
            return
        self._socket = None
        self._detached()
        if self._draining:
            self.end(f"{self.peer} has left this relay, which stops")
        elif not self.link.is_over:
            self._expiry = self._clock.callLater(
                self._limits.resume_seconds, self.end, "it did not come back in time"
            )

    def _stop_expiry(self) -> None:
        expiry, self._expiry = self._expiry, None
        if expiry is not None and expiry.active():
            expiry.cancel()

    def _attached(self) -> None:
        """It has a connection."""

    def _detached(self) -> None:
        """It has none."""
