"""An agent's output as bytes, changes of its state, and its end: as they come."""

from __future__ import annotations

from typing import Any

from clove.relay.rest.context import Context
from clove.relay.rest.event_stream import EventStream
from clove.relay.rest.route import Call, Streamed
from clove.relay.rest.streams import Wanted

__all__ = ["stream"]


async def stream(context: Context, call: Call) -> Streamed:
    """By server-sent events; from the one behind the last that was seen."""
    query = call.query
    since = query.since
    if call.last_event_id.isascii() and call.last_event_id.isdecimal():
        since = int(call.last_event_id[:18])
    agent_id = int(call.path["agent_id"])
    wanted = Wanted(call.identity, query.machine_id, agent_id, since, query.attach)

    async def write(request: Any) -> None:
        await _write(context, wanted, request)

    return Streamed(write)


async def _write(context: Context, wanted: Wanted, request: Any) -> None:
    async with context.streams.reading(context, wanted) as found:
        events = EventStream(request, context.clock, found.bell.ring)
        events.start(b"the agent's output")
        try:
            await found.deliver(events, wanted.since)
        finally:
            events.stop()
