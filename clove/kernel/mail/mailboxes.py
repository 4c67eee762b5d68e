"""All mailboxes in memory, with those who wait on them and the clock of the leases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from math import inf

from msgspec import Raw
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from clove.errors import CloveError, LimitExceeded, NotFound
from clove.kernel.mail.interface import IMailboxes
from clove.kernel.mail.limits import MailLimits
from clove.kernel.mail.mailbox import Letter, Mailbox
from clove.kernel.mail.waiting import WaitingLine
from clove.kernel.shares import ShareLimits, Shares
from clove.messages.mail import Mail

__all__ = ["Delivered", "Mailboxes"]

OVERHEAD = 256
"""Bytes charged for a message beside its text, in all mailboxes together."""

Delivered = Callable[[int, int, str, int], object]
"""Takes (to, sender, sender's name, message id)."""


class _Box:
    """A mailbox, who waits on it, and the call that will end its next lease."""

    __slots__ = ("lease_call", "line", "mailbox")

    def __init__(self, mailbox: Mailbox, line: WaitingLine) -> None:
        self.mailbox = mailbox
        self.line = line
        self.lease_call: IDelayedCall | None = None


@implementer(IMailboxes)
class Mailboxes:
    """See L{IMailboxes}. What is in them is lost with the kernel."""

    def __init__(
        self,
        clock: IReactorTime,
        limits: MailLimits | None = None,
        on_delivered: Delivered | None = None,
        shares: ShareLimits | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or MailLimits()
        self.on_delivered = on_delivered
        self._boxes: dict[int, _Box] = {}
        self._ids = count(1)
        self._shares = Shares(
            "bytes of messages that nobody has read",
            "limits.mail.max_total_bytes",
            self._limits.max_total_bytes,
            shares,
            memory=True,
        )
        self._unread: dict[int, int] = {}  # sender to bytes

    @property
    def total_bytes(self) -> int:
        """Bytes of messages in all mailboxes, with L{OVERHEAD} for each."""
        return self._shares.used

    def open(self, agent_id: int, family: int | None = None) -> None:
        """See L{IMailboxes.open}."""
        if agent_id not in self._boxes:
            line = WaitingLine(self._clock, self._limits.max_waiters)
            family = agent_id if family is None else family
            self._boxes[agent_id] = _Box(Mailbox(self._gone, family), line)

    def close(self, agent_id: int) -> None:
        """See L{IMailboxes.close}."""
        box = self._boxes.pop(agent_id, None)
        if box is None:
            return
        box.mailbox.clear()
        self._set_lease_call(box)
        box.line.close()

    def release(self, agent_id: int) -> None:
        """See L{IMailboxes.release}."""
        box = self._boxes.get(agent_id)
        if box is not None:
            self._end_leases(box, inf)

    def deliver(
        self,
        to: int,
        sender: int,
        sender_name: str,
        message: Raw,
        ttl: float | None = None,
        family: int | None = None,
    ) -> int:
        """See L{IMailboxes.deliver}."""
        if family is None:
            family = sender
        box = self._box(to)
        size = len(message)
        now = self._clock.seconds()
        self._check_size(size)
        refusal = self._refusal(box.mailbox, to, sender, family, size, now)
        if refusal is not None:
            raise refusal
        return self._put(to, box, sender, family, sender_name, message, size, now, ttl)

    def broadcast(
        self,
        sender: int,
        sender_name: str,
        message: Raw,
        ttl: float | None = None,
        include_self: bool = False,
        family: int | None = None,
    ) -> int:
        """See L{IMailboxes.broadcast}."""
        if family is None:
            family = sender
        size = len(message)
        now = self._clock.seconds()
        self._check_size(size)
        delivered = 0
        for to, box in list(self._boxes.items()):
            if to == sender and not include_self:
                continue
            if self._refusal(box.mailbox, to, sender, family, size, now) is None:
                self._put(to, box, sender, family, sender_name, message, size, now, ttl)
                delivered += 1
        return delivered

    def take(self, agent_id: int, most: int, manual_ack: bool = False) -> list[Mail]:
        """See L{IMailboxes.take}."""
        return self._take(self._box(agent_id), most, manual_ack)

    def receive(
        self, agent_id: int, most: int, wait: float = 0, manual_ack: bool = False
    ) -> Deferred[list[Mail]]:
        """See L{IMailboxes.receive}."""
        box = self._box(agent_id)
        mails = self._take(box, most, manual_ack)
        if mails or wait <= 0:
            return succeed(mails)
        return box.line.join(most, manual_ack, min(wait, self._limits.max_wait))

    def ack(self, agent_id: int, message_ids: Iterable[int]) -> int:
        """See L{IMailboxes.ack}."""
        box = self._box(agent_id)
        done = box.mailbox.ack(message_ids)
        self._set_lease_call(box)
        return done

    def _box(self, agent_id: int) -> _Box:
        try:
            return self._boxes[agent_id]
        except KeyError:
            raise NotFound(f"agent {agent_id} has no mailbox") from None

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_message_bytes:
            raise LimitExceeded(
                f"the message has {size} bytes, the limit is {self._limits.max_message_bytes}",
                hint="send a path or a state key instead of the content",
            )

    def _refusal(
        self, mailbox: Mailbox, to: int, sender: int, family: int, size: int, now: float
    ) -> CloveError | None:
        """Why a message does not fit, or None."""
        limits = self._limits
        if len(mailbox) >= limits.max_messages or mailbox.size + size > limits.max_bytes:
            mailbox.purge(now)
            if len(mailbox) >= limits.max_messages or mailbox.size + size > limits.max_bytes:
                return LimitExceeded(
                    f"the mailbox of agent {to} is full"
                    f" ({len(mailbox)} messages, {mailbox.size} bytes)",
                    hint="send again when the receiver has called RECV (and ACK)",
                )
        if mailbox.is_foreign(family):
            refusal = self._foreign_refusal(mailbox, to, family, size, now)
            if refusal is not None:
                return refusal
        if self._unread.get(sender, 0) + size > limits.max_sender_bytes:
            return LimitExceeded(
                f"{limits.max_sender_bytes} bytes of your messages are not read yet",
                hint="send again when their receivers have called RECV",
            )
        return self._shares.refusal(family, size + OVERHEAD)

    def _foreign_refusal(
        self, mailbox: Mailbox, to: int, family: int, size: int, now: float
    ) -> CloveError | None:
        """Why there is no room for a family that is not the receiver's own, or None."""
        limits = self._limits
        for purged in (False, True):
            if purged:
                mailbox.purge(now)
            count, held = mailbox.of(family)
            if (
                count < limits.max_messages * limits.family_part
                and held + size <= limits.max_bytes * limits.family_part
                and mailbox.foreign_count < limits.max_messages * limits.foreign_part
                and mailbox.foreign_size + size <= limits.max_bytes * limits.foreign_part
            ):
                return None
        return LimitExceeded(
            f"the mailbox of agent {to} has {count} messages of {held} bytes from your family,"
            f" {mailbox.foreign_count} from all that are not the receiver's",
            hint="send again when the receiver has called RECV (and ACK)",
        )

    def _put(
        self,
        to: int,
        box: _Box,
        sender: int,
        family: int,
        sender_name: str,
        message: Raw,
        size: int,
        now: float,
        ttl: float | None,
    ) -> int:
        id = next(self._ids)
        expires = inf if ttl is None else now + ttl
        box.mailbox.put(Letter(id, sender, family, sender_name, message, now, expires, size))
        self._shares.add(family, size + OVERHEAD)
        self._unread[sender] = self._unread.get(sender, 0) + size
        if self.on_delivered is not None:
            self.on_delivered(to, sender, sender_name, id)
        self._serve(box)
        return id

    def _gone(self, letter: Letter) -> None:
        self._shares.give(letter.family, letter.size + OVERHEAD)
        left = self._unread[letter.sender] - letter.size
        if left:
            self._unread[letter.sender] = left
        else:
            del self._unread[letter.sender]

    def _take(self, box: _Box, most: int, manual_ack: bool) -> list[Mail]:
        now = self._clock.seconds()
        until = now + self._limits.lease if manual_ack else None
        letters = box.mailbox.take(min(most, self._limits.max_batch), now, until)
        if manual_ack and letters:
            self._set_lease_call(box)
        return [_mail(letter, now) for letter in letters]

    def _serve(self, box: _Box) -> None:
        """Give what is there to those who wait, in order."""
        while (waiter := box.line.first()) is not None:
            mails = self._take(box, waiter.most, waiter.manual_ack)
            if not mails:
                return
            box.line.fire(waiter, mails)

    def _end_leases(self, box: _Box, now: float) -> None:
        box.mailbox.end_leases(now)
        self._set_lease_call(box)
        self._serve(box)

    def _lease_over(self, box: _Box) -> None:
        box.lease_call = None
        self._end_leases(box, self._clock.seconds())

    def _set_lease_call(self, box: _Box) -> None:
        """Have one delayed call for the earliest end of a lease, or none."""
        ends = box.mailbox.lease_ends
        call = box.lease_call
        if call is not None:
            if call.getTime() == ends:
                return
            call.cancel()
            box.lease_call = None
        if ends < inf:
            delay = max(0.0, ends - self._clock.seconds())
            box.lease_call = self._clock.callLater(delay, self._lease_over, box)


def _mail(letter: Letter, now: float) -> Mail:
    return Mail(
        id=letter.id,
        from_=letter.sender,
        from_id=letter.sender,
        from_name=letter.sender_name,
        message=letter.message,
        age_ms=max(0, int((now - letter.sent) * 1000)),
    )
