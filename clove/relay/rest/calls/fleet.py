"""Health, status, and remote agents that are connected."""

from __future__ import annotations

from collections import Counter

from clove._version import __version__
from clove.loop.slices import in_slices
from clove.relay.machines.machines import visible_to
from clove.relay.machines.presence import RemoteCaller
from clove.relay.records import Identity, TokenKind
from clove.relay.rest.context import Context, shown_time
from clove.relay.rest.metrics import CONTENT_TYPE, exposition
from clove.relay.rest.paging import numbered_page
from clove.relay.rest.problems import Answer
from clove.relay.rest.route import Call
from clove.relay.rest.types import Agent, Agents, Health, Ready, Status

__all__ = ["health", "list_agents", "metrics", "ready", "status"]


async def health(context: Context, call: Call) -> Health:
    """The process answers."""
    return Health(version=__version__)


async def ready(context: Context, call: Call) -> Ready:
    """And so does its store."""
    await context.store.count_tokens(TokenKind.ADMIN, context.wall())
    return Ready()


async def status(context: Context, call: Call) -> Status:
    """Numbers of what the bearer may see."""
    targets = visible_to(call.identity)
    count, seen = await context.machines.count(targets, context.clock)
    return Status(
        version=__version__,
        uptime_seconds=round(context.clock.seconds() - context.started, 3),
        machines=count,
        machines_connected=seen,
        agents=len(await _callers(context, call.identity)),
        relays=await context.machines.relays(),
    )


async def metrics(context: Context, call: Call) -> Answer:
    """Numbers for Prometheus."""
    hub = context.machines.hub
    tunnels: Counter[str] = Counter()
    async for some in in_slices(hub.links().values(), context.clock):
        tunnels.update(link.presence for link in some)
    text = exposition(
        context.requests,
        tunnels,
        hub.caller_count,
        context.clock.seconds() - context.started,
        context.turns,
    )
    return Answer(200, {"Content-Type": CONTENT_TYPE}, text)


async def list_agents(context: Context, call: Call) -> Agents:
    """Remote agents: all, those on the bearer's machine, or those that came with its token."""
    wanted = call.query.machine_id
    found = [
        caller
        for caller in await _callers(context, call.identity)
        if not wanted or caller.target_machine == wanted
    ]
    page, following = numbered_page(found, lambda caller: caller.agent_id, call.query)
    shown = [
        Agent(
            agent_id=caller.agent_id,
            agent_name=caller.agent_name,
            target_machine=caller.target_machine,
            connected_at=shown_time(caller.connected_at),
            syscalls_sent=caller.syscalls_sent,
            responses_received=caller.responses_received,
            status=caller.status,
        )
        for caller in page
    ]
    return Agents(agents=shown, next=following)


async def _callers(context: Context, identity: Identity) -> list[RemoteCaller]:
    callers = await context.machines.hub.callers()
    if identity.kind is TokenKind.ADMIN:
        return callers
    if identity.kind is TokenKind.MACHINE:
        return [each for each in callers if each.target_machine == identity.machine_id]
    return [each for each in callers if each.token_id == identity.token_id]
