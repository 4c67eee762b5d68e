"""DIAL: a connection to a port that an agent listens on inside its sandbox."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as NotInTime

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.calls.agents import find_target
from clove.messages.execute import DialReply

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.context import Context
    from clove.kernel.relayed_streams import RelayedStreams
    from clove.messages.execute import DialRequest

__all__ = ["dial", "end_sending"]

LOOK_SECONDS: Final = 5.0
"""Between two looks at how long a connection has been idle."""


async def dial(ctx: Context, request: DialRequest) -> DialReply:
    """Connect, and carry bytes until both sides have sent all, or neither has sent any for too long."""
    agent = find_target(ctx, request, "DIAL")
    if ctx.stream is None:
        raise InvalidRequest("DIAL needs protocol version 2", hint="send HELLO first")
    principal, dialler = ctx.principal, ctx.kernel.dialler
    caller = principal.bearer_id
    dialler.add(principal.family, caller, remote=principal.is_remote)
    try:
        return await _carry(ctx, agent, request.port)
    finally:
        dialler.remove(principal.family, caller)


async def _carry(ctx: Context, agent: Agent, port: int) -> DialReply:
    assert ctx.stream is not None
    attached, agent_id = ctx.kernel.attached, agent.agent_id
    streams = _streams(ctx, await _connected(ctx, agent, port))
    number = attached.next_number()
    attached.hold(agent_id, number, streams)
    details = {"id": agent_id, "port": port, "event": "connected"}
    principal = ctx.principal
    try:
        ctx.kernel.audit.record(
            "NETWORK", "DIAL", principal.agent_id, principal.name, True, details, principal.family
        )
        ctx.stream(DialReply(agent_id=agent_id, command=number, port=port))
        await _until_over(ctx, agent, streams)
    finally:
        attached.stop_holding(agent_id, number)
    return DialReply(agent_id=agent_id, command=number, port=port, ended=True)


async def _connected(ctx: Context, agent: Agent, port: int) -> socket.socket:
    """@raise CloveError: there is no such sandbox, or nothing listens there."""
    sandbox = agent.sandbox
    if sandbox is None:
        raise Unavailable(f"agent {agent.agent_id} does not run now", hint="wait for its restart")
    if not agent.principal.sandboxed:
        raise InvalidRequest(
            "an agent without a sandbox listens on the host itself",
            hint="connect to that port there",
        )
    return await ctx.kernel.dialler.connect(sandbox, port)


def _streams(ctx: Context, connection: socket.socket) -> RelayedStreams:
    from clove.kernel.relayed_streams import RelayedStreams

    try:
        writer = os.dup(connection.fileno())
    except OSError as error:
        connection.close()
        raise Unavailable(f"no descriptor for the connection: {error.strerror}") from None
    sources = {1: connection.detach()}
    return RelayedStreams(ctx.kernel.clock, ctx.principal.agent_id, sources, writer, end_sending)


async def _until_over(ctx: Context, agent: Agent, streams: RelayedStreams) -> None:
    """Wait for the end of a connection, of its agent's run, or of the patience with it."""
    clock, limits, sandbox = ctx.kernel.clock, ctx.kernel.dialler.limits, agent.sandbox
    while not streams.is_over and agent.sandbox is sandbox:
        idle = clock.seconds() - streams.last
        if idle >= (limits.half_idle if streams.is_half_over else limits.idle):
            return
        waiting: Deferred[None] = Deferred()
        streams.tell_end(waiting)
        waiting.addTimeout(LOOK_SECONDS, clock)
        try:
            await waiting
        except NotInTime:
            continue


def end_sending(descriptor: int) -> None:
    """Tell the other side of a connection that all was sent (`finish` of L{RelayedStreams})."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_WR)
