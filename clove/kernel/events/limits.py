"""Bounds of events."""

from __future__ import annotations

import msgspec

__all__ = ["EventLimits"]


class EventLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events are news, not messages: a subscriber that does not poll loses the oldest."""

    max_queue: int = 256
    """Events that wait for one subscriber; for one more the oldest is dropped and counted.
    SYSCALL_BLOCKED, AGENT_ESCALATED and RESOURCE_WARNING wait apart, as many of them, and are
    dropped for each other alone."""
    max_queue_bytes: int = 1 << 20
    """Bytes of event data that wait for one subscriber; past it the oldest are dropped
    and counted."""
    all_queue_bytes: int = 64 << 20
    """Bytes of event data that wait for all subscribers: past it, or past a family's share of
    them, the oldest of the subscriber are dropped and counted, and then the new one."""
    handing_over: int = 16_384
    """Events that wait to be handed to subscribers, each counted once for each of these: one for more than 64
    is handed over in pieces. Past it some are handed over before the request that causes another is answered."""
    max_data_bytes: int = 64 << 10
    """Bytes of the data of one event; an EMIT with more is refused."""
    max_type: int = 128
    """Characters in the name of an event type; an EMIT with a longer one is refused."""
    max_batch: int = 256
    """Events in the reply to one POLL_EVENTS; a larger `max` is cut to this."""
