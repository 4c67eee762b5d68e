"""What one side of a link knows of its frames, over any number of connections. Pure.

Frames that carry something are counted. The sender keeps each until the other side has said that
it came; after a cut both say how many came, and each sends again what the other lacks. So nothing
is lost or comes twice, wherever the connection was cut. Standard library alone: the blocking
client's end of a link has it as well.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

__all__ = [
    "COUNTED",
    "HEADER",
    "MOST_PIECE",
    "WINDOW",
    "BrokenLink",
    "FrameKind",
    "Session",
    "ack_count",
    "frame",
    "parse",
]

HEADER: Final = struct.Struct(">IB")
WINDOW: Final = 256 << 10
"""Bytes that may be sent on a new channel before the other side has allowed more."""
MOST_PIECE: Final = 64 << 10
"""Bytes of a channel in one frame."""
SLACK: Final = 4 * MOST_PIECE
"""Bytes by which a session may be more than twice full, however small it is."""
FRAME_COST: Final = 64
"""Bytes counted for a frame that is kept, beside its own."""


class FrameKind(IntEnum):
    """What a frame is."""

    OPEN = 0
    DATA = 1
    CLOSE = 2
    WINDOW = 3
    ACK = 4
    CONTROL = 5


COUNTED: Final = frozenset((FrameKind.OPEN, FrameKind.DATA, FrameKind.CLOSE, FrameKind.WINDOW))
_COUNT: Final = struct.Struct(">Q")


class BrokenLink(Exception):
    """The other side does not keep the rules of links; its connection is to be closed."""


def frame(channel: int, kind: int, body: bytes = b"") -> bytes:
    """One frame, the whole of a message."""
    return HEADER.pack(channel, kind) + body


def parse(message: bytes) -> tuple[int, int, bytes]:
    """Channel, kind and body of a frame.

    @raise BrokenLink: it is none.
    """
    if len(message) < HEADER.size:
        raise BrokenLink("a frame has at least 5 bytes")
    channel, kind = HEADER.unpack_from(message)
    if kind > FrameKind.CONTROL:
        raise BrokenLink(f"there is no kind {kind} of frames")
    return channel, kind, message[HEADER.size :]


class Session:
    """The counted frames of one side.

    @ivar received: how many came.
    @ivar unacknowledged: bytes of those that were sent and may not have come, and what they cost.
    @param most_unacknowledged: past so many nothing more of channels is sent; twice as many (and
        L{SLACK}), with what needs no room, break the link.
    @param ack_bytes: of received frames, after which the other side is to be told at once.
    """

    __slots__ = (
        "_ack_bytes",
        "_acknowledged",
        "_kept",
        "_most",
        "_received_bytes",
        "_sent",
        "_told",
        "received",
        "unacknowledged",
    )

    def __init__(self, most_unacknowledged: int = 4 << 20, ack_bytes: int = 64 << 10) -> None:
        self.received = 0
        self.unacknowledged = 0
        self._most = most_unacknowledged
        self._ack_bytes = ack_bytes
        self._acknowledged = 0
        self._kept: dict[int, bytes] = {}  # by number; an empty deque takes ten times as much
        self._sent = 0
        self._received_bytes = 0
        self._told = 0

    # sending

    def keep(self, counted: bytes) -> None:
        """A counted frame is sent, now or after the next reconnection.

        @raise BrokenLink: the other side does not acknowledge.
        """
        self._sent += 1
        self._kept[self._sent] = counted
        self.unacknowledged += len(counted) + FRAME_COST
        if self.unacknowledged > 2 * self._most + SLACK:
            raise BrokenLink("the other side acknowledges nothing")

    @property
    def is_full(self) -> bool:
        """Nothing more of channels may be sent until frames are acknowledged."""
        return self.unacknowledged >= self._most

    def acknowledge(self, count: int) -> None:
        """The other side has received so many of our frames.

        @raise BrokenLink: more than were sent, or fewer than it said before.
        """
        fresh = count - self._acknowledged
        if not 0 <= fresh <= len(self._kept):
            raise BrokenLink(
                f"{count} frames were acknowledged, of which {self._acknowledged} before, and "
                f"{self._acknowledged + len(self._kept)} were sent"
            )
        for number in range(self._acknowledged + 1, count + 1):
            self.unacknowledged -= len(self._kept.pop(number)) + FRAME_COST
        self._acknowledged = count

    def resume(self, count: int) -> list[bytes]:
        """The frames to send again on a new connection, after the other side has said its count.

        @raise BrokenLink: as L{acknowledge}.
        """
        self.acknowledge(count)
        self._told = self.received  # it is said with the reconnection
        self._received_bytes = 0
        return list(self._kept.values())

    # receiving

    def count(self, size: int) -> bool:
        """A counted frame of so many bytes came. Is it to be acknowledged at once?"""
        self.received += 1
        self._received_bytes += size
        return self._received_bytes >= self._ack_bytes

    @property
    def owes_ack(self) -> bool:
        """The other side does not know of all that came."""
        return self._told != self.received

    def ack(self) -> bytes:
        """The frame that tells it."""
        self._told = self.received
        self._received_bytes = 0
        return frame(0, FrameKind.ACK, _COUNT.pack(self.received))


def ack_count(body: bytes) -> int:
    """What an ACK says.

    @raise BrokenLink: it says nothing.
    """
    if len(body) != _COUNT.size:
        raise BrokenLink("an ACK has 8 bytes")
    return int(_COUNT.unpack(body)[0])
