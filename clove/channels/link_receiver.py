"""What a connection tells the link that it carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.channels.multiplex import Multiplex

__all__ = ["LinkReceiver"]


class LinkReceiver:
    """Receives for a link (L{clove.channels.websocket_messages.MessageReceiver}).

    @param closed: called with the reason when the connection is gone and the link detached.
    """

    __slots__ = ("_closed", "_link")

    def __init__(self, link: Multiplex, closed: Callable[[str], object]) -> None:
        self._link = link
        self._closed = closed

    def binary_received(self, data: bytes) -> None:
        """A frame."""
        self._link.received(data)

    def writable(self) -> None:
        """The connection takes more."""
        self._link.writable()

    def text_received(self, text: bytes) -> None:
        """There is no text after the first messages."""
        self._link.end("binary messages only")

    def closed(self, reason: str) -> None:
        """The link waits for the next connection."""
        self._link.detach()
        self._closed(reason)
