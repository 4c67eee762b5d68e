"""All mailboxes in memory: which messages there is room for, and what is counted for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from math import inf

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from clove.errors import CloveError, LimitExceeded, NotFound
from clove.kernel.answers import Answer
from clove.kernel.mail.box import Box
from clove.kernel.mail.interface import IMailboxes, Owners
from clove.kernel.mail.limits import MailLimits
from clove.kernel.mail.mailbox import Letter, Mailbox
from clove.kernel.mail.message import Message
from clove.kernel.pieces import InTurns, Pieces, at_once
from clove.messages.mail import Mail
from clove.sharing.shares import ShareLimits, Shares

__all__ = ["Delivered", "Mailboxes"]

OVERHEAD = 256
"""Bytes charged for a message beside its text, in all mailboxes together."""

Delivered = Callable[[int, int, str, int], object]
"""Takes (to, sender, sender's name, message id)."""


@implementer(IMailboxes)
class Mailboxes:
    """See L{IMailboxes}. What is in them is lost with the kernel.

    A mailbox is made when it is first used: most agents send and receive nothing.
    """

    def __init__(
        self,
        clock: IReactorTime,
        owners: Owners,
        limits: MailLimits | None = None,
        on_delivered: Delivered | None = None,
        shares: ShareLimits | None = None,
        new_id: Callable[[], int] | None = None,
        in_turns: InTurns = at_once,
    ) -> None:
        """
        @param new_id: gives ids that ascend; None: from 1 on.
        @param in_turns: delivers to many.
        """
        self._clock = clock
        self._seconds = clock.seconds
        self._owners = owners
        self._in_turns = in_turns
        self._limits = limits or MailLimits()
        self.on_delivered = on_delivered
        self._boxes: dict[int, Box] = {}
        self._new_id = count(1).__next__ if new_id is None else new_id
        self._shares = Shares(
            "bytes of unread messages",
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

    def close(self, agent_id: int) -> None:
        """See L{IMailboxes.close}."""
        box = self._boxes.pop(agent_id, None)
        if box is None:
            return
        box.close()

    def release(self, agent_id: int) -> None:
        """See L{IMailboxes.release}."""
        box = self._boxes.get(agent_id)
        if box is not None:
            box.end_leases(inf)

    def deliver(self, to: int, message: Message) -> int:
        """See L{IMailboxes.deliver}."""
        box = self._boxes.get(to) or self._box(to)
        size = len(message.body)
        now = self._seconds()
        if size > self._limits.max_message_bytes:
            raise _too_large(size, self._limits)
        refusal = self._refusal(box.mailbox, to, message, size, now)
        if refusal is not None:
            raise refusal
        return self._put(to, box, message, size, now)

    def broadcast(self, message: Message, include_self: bool = False) -> Answer[int]:
        """See L{IMailboxes.broadcast}."""
        if len(message.body) > self._limits.max_message_bytes:
            raise _too_large(len(message.body), self._limits)
        return self._in_turns(self._deliver_to_all(message, include_self), message.family)

    def _deliver_to_all(self, message: Message, include_self: bool) -> Pieces[int]:
        """Put a message into the mailboxes that there are when this begins; gives how many took it."""
        receivers = [to for to in self._owners.ids() if include_self or to != message.sender]
        size = len(message.body)
        delivered = 0
        for to in receivers:
            if self._owners.family_of(to) is None:
                continue  # an earlier receiver ended it: its next request may be served already
            box = self._boxes.get(to) or self._box(to)
            now = self._seconds()
            if self._refusal(box.mailbox, to, message, size, now) is None:
                self._put(to, box, message, size, now)
                delivered += 1
            yield  # a receiver that waits is answered at once
        return delivered

    def receive(
        self, agent_id: int, most: int, wait: float = 0, manual_ack: bool = False
    ) -> Answer[list[Mail]]:
        """See L{IMailboxes.receive}."""
        box = self._boxes.get(agent_id) or self._box(agent_id)
        mails = box.take(most, manual_ack)
        if mails or wait <= 0:
            return mails
        return box.line.join(most, manual_ack, min(wait, self._limits.max_wait))

    def ack(self, agent_id: int, message_ids: Iterable[int]) -> int:
        """See L{IMailboxes.ack}."""
        return self._box(agent_id).ack(message_ids)

    def _box(self, agent_id: int) -> Box:
        box = self._boxes.get(agent_id)
        if box is None:
            family = self._owners.family_of(agent_id)
            if family is None:
                raise NotFound(f"agent {agent_id} has no mailbox")
            mailbox = Mailbox(self._gone, family)
            box = self._boxes[agent_id] = Box(mailbox, self._clock, self._limits)
        return box

    def _refusal(
        self, mailbox: Mailbox, to: int, message: Message, size: int, now: float
    ) -> CloveError | None:
        """Why a message does not fit, or None."""
        limits, family = self._limits, message.family
        if mailbox.count >= limits.max_messages or mailbox.size + size > limits.max_bytes:
            mailbox.purge(now)
            if mailbox.count >= limits.max_messages or mailbox.size + size > limits.max_bytes:
                return LimitExceeded(
                    f"the mailbox of agent {to} is full"
                    f" ({mailbox.count} messages, {mailbox.size} bytes)",
                    hint="send again when the receiver has called RECV (and ACK)",
                )
        if family not in mailbox.at_home:
            refusal = self._foreign_refusal(mailbox, to, family, size, now)
            if refusal is not None:
                return refusal
        if self._unread.get(message.sender, 0) + size > limits.max_sender_bytes:
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

    def _put(self, to: int, box: Box, message: Message, size: int, now: float) -> int:
        id = self._new_id()
        sender, ttl = message.sender, message.ttl
        box.mailbox.put(Letter(id, message, now, inf if ttl is None else now + ttl, size))
        self._shares.add(message.family, size + OVERHEAD)
        self._unread[sender] = self._unread.get(sender, 0) + size
        if self.on_delivered is not None:
            self.on_delivered(to, sender, message.sender_name, id)
        if box.line.waiters:
            box.serve()
        return id

    def _gone(self, letters: Sequence[Letter]) -> None:
        """Count letters no longer: at once those of one sender that follow each other."""
        message = letters[0].message
        size = count = 0
        for letter in letters:
            if letter.message.sender != message.sender:
                self._give(message, size, count)
                message = letter.message
                size = count = 0
            size += letter.size
            count += 1
        self._give(message, size, count)

    def _give(self, message: Message, size: int, count: int) -> None:
        """So many bytes, of so many messages of a sender, are not unread any more."""
        self._shares.give(message.family, size + count * OVERHEAD)
        unread, sender = self._unread, message.sender
        left = unread[sender] - size
        if left:
            unread[sender] = left
        else:
            del unread[sender]


def _too_large(size: int, limits: MailLimits) -> CloveError:
    return LimitExceeded(
        f"the message has {size} bytes, the limit is {limits.max_message_bytes}",
        hint="send a path or a state key instead of the content",
    )
