"""SUBSCRIBE, UNSUBSCRIBE, POLL_EVENTS and EMIT."""

from __future__ import annotations

from clove.errors import InvalidRequest
from clove.kernel.context import Context
from clove.kernel.events import custom_data
from clove.messages.events import (
    CUSTOM,
    EmitReply,
    EmitRequest,
    PollEventsReply,
    PollEventsRequest,
    SubscribeReply,
    SubscribeRequest,
    UnsubscribeReply,
    UnsubscribeRequest,
)
from clove.messages.value import checked

__all__ = ["emit", "poll_events", "subscribe", "unsubscribe"]


def subscribe(ctx: Context, request: SubscribeRequest) -> SubscribeReply:
    """Want more types of events.

    @raise InvalidRequest: unknown types, or none.
    """
    push = ctx.push if request.push else None
    events = ctx.kernel.events
    caller = ctx.principal
    types = events.subscribe(caller.agent_id, _types(request), request.all, push, caller.family)
    return SubscribeReply(subscribed=types)


def unsubscribe(ctx: Context, request: UnsubscribeRequest) -> UnsubscribeReply:
    """Want fewer types of events.

    @raise InvalidRequest: unknown types, or none.
    """
    events = ctx.kernel.events
    given_up = events.unsubscribe(ctx.principal.agent_id, _types(request), request.all)
    return UnsubscribeReply(unsubscribed=given_up)


def _types(request: SubscribeRequest | UnsubscribeRequest) -> list[str]:
    """The types that a request names, in any spelling."""
    types: list[str] = []
    for named in (request.event_types, request.events, request.event):
        if isinstance(named, str):
            types.append(named)
        elif named is not None:
            types += named
    return types


def poll_events(ctx: Context, request: PollEventsRequest) -> PollEventsReply:
    """Take the events that waited."""
    events, dropped = ctx.kernel.events.poll(ctx.principal.agent_id, request.max)
    return PollEventsReply(count=len(events), events=events, dropped=dropped)


def emit(ctx: Context, request: EmitRequest) -> EmitReply:
    """Tell an event of one's own, as CUSTOM.

    @raise InvalidRequest: no type, a bad one, or unsound JSON.
    @raise LimitExceeded: too much data.
    """
    name = request.event_type or request.event
    if not name:
        raise InvalidRequest("EMIT needs `event_type`")
    events = ctx.kernel.events
    events.check_size(request.data)
    data = checked(request.data, "data")
    custom = custom_data(name, data, events.limits.max_type)
    return EmitReply(delivered_to=events.publish(CUSTOM, custom, ctx.principal.agent_id))
