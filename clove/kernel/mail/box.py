"""One mailbox with the RECVs that wait on it and the clock of its leases."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

from clove.kernel.mail.waiting import WaitingLine
from clove.messages.mail import Mail

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.mail.limits import MailLimits
    from clove.kernel.mail.mailbox import Mailbox

__all__ = ["Box"]


class Box:
    """A mailbox, the RECVs that wait on it, and the call that will end its next lease."""

    __slots__ = ("_clock", "_lease_call", "_limits", "line", "mailbox")

    def __init__(self, mailbox: Mailbox, clock: IReactorTime, limits: MailLimits) -> None:
        self.mailbox = mailbox
        self.line = WaitingLine(clock, limits.max_waiters)
        self._clock = clock
        self._limits = limits
        self._lease_call: IDelayedCall | None = None

    def close(self) -> None:
        """Its owner is gone: nothing is in it, and nothing waits."""
        self.mailbox.clear()
        self._set_lease_call()
        self.line.close()

    def take(self, most: int, manual_ack: bool) -> list[Mail]:
        """The next messages, for good, or with C{manual_ack} on lease."""
        now = self._clock.seconds()
        until = now + self._limits.lease if manual_ack else None
        letters = self.mailbox.take(min(most, self._limits.max_batch), now, until)
        if manual_ack and letters:
            self._set_lease_call()
        mails = []
        for letter in letters:
            message = letter.message
            sender = message.sender
            age = max(0, int((now - letter.sent) * 1000))
            mails.append(Mail(letter.id, sender, sender, message.sender_name, message.body, age))
        return mails

    def serve(self) -> None:
        """Give messages to those that wait, in order."""
        while (waiter := self.line.first()) is not None:
            mails = self.take(waiter.most, waiter.manual_ack)
            if not mails:
                return
            self.line.fire(waiter, mails)

    def ack(self, message_ids: Iterable[int]) -> int:
        """Forget messages that are on lease; gives how many."""
        done = self.mailbox.ack(message_ids)
        self._set_lease_call()
        return done

    def end_leases(self, now: float) -> None:
        """What is on lease until then is given out again."""
        self.mailbox.end_leases(now)
        self._set_lease_call()
        self.serve()

    def _lease_over(self) -> None:
        self._lease_call = None
        self.end_leases(self._clock.seconds())

    def _set_lease_call(self) -> None:
        """Have one delayed call for the earliest end of a lease, or none."""
        ends = self.mailbox.lease_ends
        call = self._lease_call
        if call is not None:
            if call.getTime() == ends:
                return
            call.cancel()
            self._lease_call = None
        if ends < inf:
            delay = max(0.0, ends - self._clock.seconds())
            self._lease_call = self._clock.callLater(delay, self._lease_over)
