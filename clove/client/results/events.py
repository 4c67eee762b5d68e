"""What the calls of `clove.messages.events` give. Made by tools/results.py: do not edit."""

from typing import Any, TypedDict

from clove.client.results.base import Reply

__all__ = [
    "EmitReply",
    "Event",
    "EventPush",
    "PollEventsReply",
    "SubscribeReply",
    "UnsubscribeReply",
]


class SubscribeReply(Reply):
    """Everything that one is subscribed to now."""

    subscribed: list[str]


class UnsubscribeReply(Reply):
    """The types that were given up."""

    unsubscribed: list[str]


class Event(TypedDict):
    """One event as a subscriber sees it.

    @ivar timestamp: seconds since the epoch.
    @ivar source_agent_id: the principal that caused it; 0 for the kernel itself.
    """

    type: str
    data: Any
    source_agent_id: int
    timestamp: float
    age_ms: int


class EventPush(Reply):
    """An event that is sent without being asked for: an L{Event}'s fields."""

    type: str
    data: Any
    source_agent_id: int
    timestamp: float
    age_ms: int


class PollEventsReply(Reply):
    """Events, oldest first.

    @ivar dropped: events lost since the last poll, because too many were waiting.
    """

    count: int
    events: list[Event]
    dropped: int


class EmitReply(Reply):
    """How many subscribers it reached."""

    delivered_to: int
