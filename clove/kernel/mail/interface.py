"""What the kernel asks of its mailboxes."""

# ruff: noqa: N805 - methods of a zope interface have no self

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from zope.interface import Attribute, Interface

from clove.kernel.answers import Answer
from clove.kernel.mail.message import Message
from clove.messages.mail import Mail

__all__ = ["IMailboxes", "Owners"]


class Owners(Protocol):
    """Which agents have a mailbox."""

    def family_of(self, agent_id: int) -> int | None:
        """The family of an agent that has one; None: it has none."""

    def ids(self) -> list[int]:
        """All of them, the oldest first."""


class IMailboxes(Interface):
    """Mailboxes by agent id. Message ids ascend over all of them.

    Each of the L{Owners} has one, which is empty until something comes. One that is no owner any
    more is followed by L{close}.

    What is asked is done in the order in which it was asked, whenever the answers come.
    """

    on_delivered = Attribute(
        "None or callable(to, sender, sender_name, message_id), called for each delivery."
    )

    def close(agent_id: int) -> Answer[None]:
        """Delete what is in a mailbox; RECVs that wait on it get Cancelled."""

    def release(agent_id: int) -> Answer[None]:
        """The receiver died: its leased messages can be received again at once."""

    def deliver(to: int, message: Message) -> Answer[int]:
        """Put a message into a mailbox; gives the message's id.

        @raise NotFound: no such mailbox.
        @raise LimitExceeded: it does not fit.
        """

    def broadcast(message: Message, include_self: bool = False) -> Answer[int]:
        """Put a message into every mailbox that has room; gives how many took it.

        It goes to those that own one now, one after the other. What is asked later may be done before it
        has reached all; to cancel it is to leave it at those that it has reached.

        @raise LimitExceeded: it is too large for any mailbox.
        """

    def receive(
        agent_id: int, most: int, wait: float = 0, manual_ack: bool = False
    ) -> Answer[list[Mail]]:
        """The messages that are there, oldest first; if there are none, wait up to C{wait} seconds.

        Waiters are served in order, and get nothing when the time is over. Cancelling ends the
        waiting and loses no message.

        @param manual_ack: lease the messages: they come again unless L{ack} names them in time.
        @raise NotFound: no such mailbox.
        @raise LimitExceeded: too many wait already.
        @raise Cancelled: the mailbox was closed meanwhile.
        """

    def ack(agent_id: int, message_ids: Iterable[int]) -> Answer[int]:
        """Done with leased messages; gives how many of them were leased."""
