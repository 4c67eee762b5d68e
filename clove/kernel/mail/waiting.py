"""RECVs that wait on one mailbox, first come, first served."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from clove.errors import Cancelled, LimitExceeded
from clove.messages.mail import Mail

__all__ = ["Waiter", "WaitingLine"]


class Waiter:
    """One RECV that waits.

    @ivar most: how many messages it takes.
    @ivar manual_ack: whether it takes them on lease.
    """

    __slots__ = ("deferred", "manual_ack", "most", "over")

    def __init__(self, most: int, manual_ack: bool, deferred: Deferred[list[Mail]]) -> None:
        self.most = most
        self.manual_ack = manual_ack
        self.deferred = deferred
        self.over: IDelayedCall | None = None


class WaitingLine:
    """A bounded line of L{Waiter}s.

    @ivar waiters: in their order.
    """

    def __init__(self, clock: IReactorTime, limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self.waiters: dict[Waiter, None] = {}

    def join(self, most: int, manual_ack: bool, wait: float) -> Deferred[list[Mail]]:
        """Wait at the end of the line, for so many seconds.

        @raise LimitExceeded: the line is full.
        """
        if len(self.waiters) >= self._limit:
            raise LimitExceeded(
                f"{self._limit} RECVs wait on this mailbox already",
                hint="wait for one of them, or receive without `wait`",
            )
        deferred: Deferred[list[Mail]] = Deferred(lambda _: self._leave(waiter))
        waiter = Waiter(most, manual_ack, deferred)
        waiter.over = self._clock.callLater(wait, self.fire, waiter, [])
        self.waiters[waiter] = None
        return deferred

    def first(self) -> Waiter | None:
        """The waiter that is served next."""
        return next(iter(self.waiters), None)

    def fire(self, waiter: Waiter, mails: list[Mail]) -> None:
        """Serve a waiter; it leaves the line first, so it may join again at once."""
        self._leave(waiter)
        waiter.deferred.callback(mails)

    def close(self) -> None:
        """End all waiting with Cancelled."""
        while (waiter := self.first()) is not None:
            self._leave(waiter)
            waiter.deferred.errback(Cancelled("the mailbox was closed"))

    def _leave(self, waiter: Waiter) -> None:
        self.waiters.pop(waiter, None)
        if waiter.over is not None and waiter.over.active():
            waiter.over.cancel()
