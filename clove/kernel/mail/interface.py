"""What the kernel asks of its mailboxes."""

# ruff: noqa: N805 - methods of a zope interface have no self

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Raw
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from clove.messages.mail import Mail

__all__ = ["IMailboxes"]


class IMailboxes(Interface):
    """Mailboxes by agent id. Message ids ascend over all of them."""

    on_delivered = Attribute(
        "None or callable(to, sender, sender_name, message_id), called for each delivery."
    )

    def open(agent_id: int, family: int | None = None) -> None:
        """Make an empty mailbox. Harmless if there is one.

        @param family: its owner's; None: one of its own.
        """

    def close(agent_id: int) -> None:
        """Throw a mailbox and what is in it away; who waits on it gets Cancelled."""

    def release(agent_id: int) -> None:
        """The receiver died: its leased messages can be received again at once."""

    def deliver(
        to: int,
        sender: int,
        sender_name: str,
        message: Raw,
        ttl: float | None = None,
        family: int | None = None,
    ) -> int:
        """Put a message into a mailbox; gives the message's id.

        @param ttl: seconds until it is thrown away unread.
        @param family: whose share of all mailboxes it is of; None: a family of its own.
        @raise NotFound: no such mailbox.
        @raise LimitExceeded: it does not fit.
        """

    def broadcast(
        sender: int,
        sender_name: str,
        message: Raw,
        ttl: float | None = None,
        include_self: bool = False,
        family: int | None = None,
    ) -> int:
        """Put a message into every mailbox that has room; gives how many took it.

        @raise LimitExceeded: it is too large for any mailbox.
        """

    def take(agent_id: int, most: int, manual_ack: bool = False) -> list[Mail]:
        """What is there now, oldest first.

        @raise NotFound: no such mailbox.
        """

    def receive(
        agent_id: int, most: int, wait: float = 0, manual_ack: bool = False
    ) -> Deferred[list[Mail]]:
        """As L{take}, but wait for the first. Those who wait are served in order.

        Fires with an empty list when the time is over. To cancel it is to stop
        waiting; no message is lost by that.

        @raise NotFound: no such mailbox.
        @raise LimitExceeded: too many wait already.
        @raise Cancelled: the mailbox was closed meanwhile.
        """

    def ack(agent_id: int, message_ids: Iterable[int]) -> int:
        """Done with leased messages; gives how many of them were leased."""
