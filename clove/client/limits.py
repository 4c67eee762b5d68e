"""Bounds of a client. A NamedTuple, because msgspec may be absent in a sandbox."""

from __future__ import annotations

from typing import NamedTuple

from clove.framing import DEFAULT_MAX_PAYLOAD, MAX_REPLY

__all__ = ["ClientLimits"]


class ClientLimits(NamedTuple):
    """What one client holds at most, and how long it tries."""

    max_payload: int = DEFAULT_MAX_PAYLOAD
    """Bytes of a request; a larger one raises `LimitExceeded` before anything is sent
    (the kernel would answer it with an error and a close)."""
    max_reply: int = MAX_REPLY
    """Bytes of a reply; a larger one is a broken stream: the connection is lost."""
    outstanding: int = 256
    """Calls in flight on the connection; one more raises `LimitExceeded`."""
    stream_bytes: int = 16 << 20
    """Bytes of one stream that were received and not taken by its reader; past it the
    stream is cancelled and raises `LimitExceeded`."""
    events: int = 1024
    """Pushed events that were not taken yet; past it the oldest is dropped and counted."""
    reconnects: int = 6
    """Attempts to reach the kernel again after a connection was lost; then the call
    raises `ConnectionLost`."""
    first_pause: float = 0.05
    """Seconds before the second attempt; each later pause is twice as long."""
    longest_pause: float = 2.0
    """Seconds that a pause between two attempts has at most."""

    def pauses(self) -> list[float]:
        """Seconds to wait before each attempt to reconnect; the first is at once."""
        pauses = [0.0]
        pause = self.first_pause
        for _ in range(self.reconnects - 1):
            pauses.append(min(pause, self.longest_pause))
            pause *= 2
        return pauses
