"""What waits on one connection, counted for its family: all connections share the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.kernel.shares import Shares

if TYPE_CHECKING:
    from clove.errors import LimitExceeded
    from clove.kernel.connection_limits import ConnectionLimits
    from clove.kernel.shares import ShareLimits

__all__ = ["Buffered", "shared_buffers"]


def shared_buffers(limits: ConnectionLimits, shares: ShareLimits | None) -> Shares:
    """The bytes that may wait on all connections together."""
    what, field = "bytes waiting on connections", "limits.connection.all_buffers"
    return Shares(what, field, limits.all_buffers, shares, memory=True)


class Buffered:
    """One connection's part.

    @ivar in_work: bytes of requests that are being served.
    @ivar queued: bytes of requests that are read but not begun.
    @ivar counted: bytes that count for the family now.
    """

    __slots__ = ("_shares", "counted", "in_work", "queued")

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self.in_work = 0
        self.queued = 0
        self.counted = 0

    def count(self, family: int, elsewhere: int) -> LimitExceeded | None:
        """Count what waits now; gives what is to be said if that is more than the family may have.

        @param elsewhere: bytes that the transport and the decoder hold.
        """
        size = elsewhere + self.in_work + self.queued
        more, self.counted = size - self.counted, size
        if more <= 0:
            self._shares.give(family, -more)
            return None
        refusal = self._shares.refusal(family, more)
        self._shares.add(family, more)
        return refusal

    def release(self, family: int) -> None:
        """The connection is gone, with all that waits on it."""
        self._shares.give(family, self.counted)
        self.counted = 0
