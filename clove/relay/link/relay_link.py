"""One connection between two relays, with a channel for each caller on it.

It is not resumed: when it is cut, its channels are lost, and each caller is told once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from clove.channels.link_receiver import LinkReceiver
from clove.channels.multiplex import LinkLimits, Multiplex

if TYPE_CHECKING:
    from clove.channels.websocket_messages import MessageSocket
    from clove.relay.link.limits import RelayLinkLimits

__all__ = ["RelayLink"]

MESSAGE: Final = 1 << 18
"""Bytes of a message on a link."""
SILENT: Final = 3
"""Looks between which nothing came; then the link is cut."""


class RelayLink:
    """What both ends have in common.

    @ivar peer: the other relay's name.
    @param ended: called once, with this link and the reason.
    """

    def __init__(
        self,
        clock: Any,
        peer: str,
        limits: RelayLinkLimits,
        socket: MessageSocket,
        ended: Callable[[Any, str], object],
    ) -> None:
        self.peer = peer
        self.clock = clock
        self._ended = ended
        self._socket = socket
        self._seen = self._silent = 0
        self.link = Multiplex(
            clock,
            accept=self._accept if self.accepts else None,
            control=self._control,
            ended=self._over,
            limits=LinkLimits(unacknowledged=limits.kept, channels=limits.channels),
        )
        socket.allow(MESSAGE)
        socket.receiver = LinkReceiver(self.link, self.end)
        self.link.attach(socket)

    accepts = False
    """This end takes channels that the other opens."""

    def end(self, reason: str) -> None:
        """End it: its channels are lost. Idempotent."""
        self.link.end(reason)

    def look(self) -> None:
        """Ask the other side for an answer; cut a connection of which nothing has come for long."""
        if self.link.messages != self._seen:
            self._seen, self._silent = self.link.messages, 0
        else:
            self._silent += 1
        if self._silent > SILENT:
            self._socket.abort()
            self.end("the other relay does not answer")
        else:
            self.link.send_control({"type": "ping"})

    def _accept(self, channel: Any, said: dict[str, Any]) -> None:
        """A channel was opened."""

    def _control(self, said: dict[str, Any]) -> None:
        if said.get("type") == "ping":
            self.link.send_control({"type": "pong"})
        else:
            self._said(said)

    def _said(self, said: dict[str, Any]) -> None:
        """Another CONTROL; what is not known is ignored."""

    def _over(self, reason: str) -> None:
        self._ended(self, reason)
