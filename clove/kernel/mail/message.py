"""A message as its sender hands it in."""

from __future__ import annotations

from msgspec import Raw, Struct

__all__ = ["Message"]


class Message(Struct, frozen=True, gc=False):
    """A message, its sender, and for how long it is of use.

    @ivar family: the sender's, for which it counts in all mailboxes.
    @ivar body: JSON.
    @ivar ttl: seconds until it is thrown away unread; None: never.
    """

    sender: int
    sender_name: str
    family: int
    body: Raw
    ttl: float | None = None
