"""An agent's output as bytes, changes of its state, and its end: as they come."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from clove.channels.message_socket import MessageSocket
from clove.relay.rest.agent_stream import AgentStream
from clove.relay.rest.context import Context
from clove.relay.rest.event_stream import EventStream
from clove.relay.rest.route import Call, Streamed
from clove.relay.rest.stream_socket import StreamSocket
from clove.relay.rest.streams import Wanted
from clove.relay.rest.upgrading import upgrade, wants_websocket

__all__ = ["stream"]


async def stream(context: Context, call: Call) -> Streamed:
    """By server-sent events, from the one behind the last that was seen; or by WebSocket, if that is asked for."""
    query = call.query
    since = query.since
    if call.last_event_id.isascii() and call.last_event_id.isdecimal():
        since = int(call.last_event_id[:18])
    agent_id = int(call.path["agent_id"])
    wanted = Wanted(call.identity, query.machine_id, agent_id, since, query.attach)

    async def write(request: Any) -> None:
        async with context.streams.reading(context, wanted) as found:
            if wants_websocket(request):
                await _by_websocket(context, found, since, request)
            else:
                await _by_events(context, found, since, request)

    return Streamed(write)


async def _by_events(context: Context, found: AgentStream, since: int, request: Any) -> None:
    events = EventStream(request, context.clock, found.bell.ring)
    events.start(b"the agent's output")
    try:
        await found.deliver(events, since)
    finally:
        events.stop()


async def _by_websocket(context: Context, found: AgentStream, since: int, request: Any) -> None:
    """This is over when the connection is: the request is cancelled then."""
    opened: Deferred[MessageSocket] = Deferred()
    upgrade(request, context.clock, opened.callback)
    socket = await opened
    reader = StreamSocket(
        socket,
        context.clock,
        context.limits.stream_kept // 2,
        since,
        found.bell.ring,
    )
    try:
        await found.deliver(reader, since)
        reader.end("the stream is over")
        await Deferred()
    finally:
        reader.end("the relay ends the stream")
