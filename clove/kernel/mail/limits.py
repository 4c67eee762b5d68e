"""Bounds of the mailboxes."""

from __future__ import annotations

import msgspec

__all__ = ["MailLimits"]


class MailLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that was accepted is never dropped for a limit; one that does not
    fit is refused to its sender with `limit_exceeded`.
    """

    max_messages: int = 1000
    """Messages in one mailbox, leased ones included; one more is refused."""
    max_bytes: int = 4 << 20
    """Bytes of messages in one mailbox; a message that does not fit is refused."""
    family_part: float = 0.5
    """Part of a mailbox, of its messages and of their bytes, that one family may have which is
    neither the receiver's nor operators; past it the sender is refused."""
    foreign_part: float = 0.75
    """Part of a mailbox that all such families may have together."""
    max_message_bytes: int = 1 << 20
    """Bytes of one message; a larger one is refused."""
    max_sender_bytes: int = 32 << 20
    """Bytes of one sender's unread messages, in all mailboxes
    together; past it the sender is refused."""
    max_total_bytes: int = 256 << 20
    """Bytes of messages in all mailboxes together; past it, or past its family's share of
    them, a sender is refused."""
    max_waiters: int = 64
    """RECVs that wait on one mailbox; one more is refused."""
    max_wait: float = 3600.0
    """Seconds that a RECV waits at most; a longer wait is cut to this."""
    max_batch: int = 1000
    """Messages in the reply to one RECV; a larger `max` is cut to this."""
    lease: float = 30.0
    """Seconds until a message received with `"ack": "manual"` and not acknowledged
    is there to be received again."""
