"""SUBSCRIBE, UNSUBSCRIBE, POLL_EVENTS and EMIT: what happens in the kernel."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "CUSTOM",
    "EVENT_TYPES",
    "EmitReply",
    "EmitRequest",
    "Event",
    "EventPush",
    "PollEventsReply",
    "PollEventsRequest",
    "SubscribeReply",
    "SubscribeRequest",
    "UnsubscribeReply",
    "UnsubscribeRequest",
]

CUSTOM: Final = "CUSTOM"
"""Type of every event that an agent emits."""
EVENT_TYPES: Final = (
    "AGENT_SPAWNED",
    "AGENT_EXITED",
    "AGENT_RESTARTING",
    "AGENT_ESCALATED",
    "AGENT_PAUSED",
    "AGENT_RESUMED",
    "MESSAGE_RECEIVED",
    "STATE_CHANGED",
    "SYSCALL_BLOCKED",
    "RESOURCE_WARNING",
    CUSTOM,
)

Types = Annotated[list[str], msgspec.Meta(max_length=64)] | str


class SubscribeRequest(Request, frozen=True, kw_only=True):
    """Which types of events one wants; the three spellings add up.

    @ivar all: every type, whatever the lists say.
    @ivar push: send events on this connection instead of keeping them for
        POLL_EVENTS (version 2 only; else they are kept).
    """

    event_types: Types | None = None
    events: Types | None = None
    event: Types | None = None
    all: bool = False
    push: bool = False


class SubscribeReply(Reply, frozen=True, kw_only=True):
    """Everything that one is subscribed to now."""

    subscribed: list[str] = []


class UnsubscribeRequest(Request, frozen=True, kw_only=True):
    """Which types of events one no longer wants."""

    event_types: Types | None = None
    events: Types | None = None
    event: Types | None = None
    all: bool = False


class UnsubscribeReply(Reply, frozen=True, kw_only=True):
    """The types that were given up."""

    unsubscribed: list[str] = []


class PollEventsRequest(Request, frozen=True, kw_only=True):
    """Take events that were kept, oldest first."""

    max: Annotated[int, msgspec.Meta(ge=1)] = 10


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a subscriber sees it.

    @ivar timestamp: seconds since the epoch.
    @ivar source_agent_id: the principal that caused it; 0 for the kernel itself.
    """

    type: str
    data: msgspec.Raw
    source_agent_id: int
    timestamp: float
    age_ms: int


class EventPush(Reply, frozen=True, kw_only=True):
    """An event that is sent without being asked for: an L{Event}'s fields."""

    type: str = ""
    data: msgspec.Raw | None = None
    source_agent_id: int = 0
    timestamp: float = 0.0
    age_ms: int = 0


class PollEventsReply(Reply, frozen=True, kw_only=True):
    """Events, oldest first.

    @ivar dropped: events lost since the last poll, because too many were waiting.
    """

    count: int = 0
    events: list[Event] = []
    dropped: int = 0


class EmitRequest(Request, frozen=True, kw_only=True):
    """Tell an event of one's own. `event` is another spelling of `event_type`.

    @ivar data: any JSON; null is the same as nothing.
    """

    event_type: str | None = None
    event: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class EmitReply(Reply, frozen=True, kw_only=True):
    """How many subscribers it reached."""

    delivered_to: int = 0
