"""What waits on one connection, counted for its family: all connections share the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.sharing.shares import OPERATORS, Shares

if TYPE_CHECKING:
    from clove.errors import LimitExceeded
    from clove.kernel.connection.limits import ConnectionLimits
    from clove.sharing.shares import ShareLimits

__all__ = ["FEW", "REQUEST", "SMALL", "Buffered", "shared_buffers"]

SMALL = 4096
"""Bytes of a request that `held` leaves out: `max_outstanding` bounds these."""
FEW = 8
"""Requests in work on a connection that are not counted, if they are small."""
REQUEST = 4096
"""Bytes counted for a request in work, beside its own: what the kernel makes of it."""


def shared_buffers(limits: ConnectionLimits, shares: ShareLimits | None) -> Shares:
    """The bytes that may wait on all connections together."""
    what, field = "bytes waiting on connections", "limits.connection.all_buffers"
    return Shares(what, field, limits.all_buffers, shares, memory=True)


def _nothing() -> int:
    return 0


class Buffered:
    """One connection's part.

    @ivar family: the family that its bytes count for; before there is a principal, operators'.
    @ivar in_work: bytes of requests that are being served, counted up and down by what serves them.
    @ivar queued: bytes of requests that are read but not begun.
    @ivar counted: bytes that count for the family now.
    @param elsewhere: gives the bytes that the channel and the decoder hold.
    """

    __slots__ = ("_elsewhere", "_shares", "counted", "family", "in_work", "queued")

    def __init__(self, shares: Shares, elsewhere: Callable[[], int]) -> None:
        self._shares = shares
        self._elsewhere = elsewhere
        self.family = OPERATORS
        self.in_work = 0
        self.queued = 0
        self.counted = 0

    def count(self) -> LimitExceeded | None:
        """Count what waits now; gives what is to be said if that is more than the family may have."""
        size = self._elsewhere() + self.in_work + self.queued
        more, self.counted = size - self.counted, size
        if more <= 0:
            self._shares.give(self.family, -more)
            return None
        refusal = self._shares.refusal(self.family, more)
        self._shares.add(self.family, more)
        return refusal

    def recount(self) -> None:
        """Count again, if anything was counted."""
        if self.counted:
            self.count()

    def refusal(self, size: int) -> LimitExceeded | None:
        """Why the family may not have so many bytes more; None if it may."""
        return self._shares.refusal(self.family, size)

    def end(self) -> None:
        """The connection is gone, with all that waits on it."""
        if self.counted:
            self._shares.give(self.family, self.counted)
            self.counted = 0
        self._elsewhere = _nothing
