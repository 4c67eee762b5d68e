"""Health, status, and remote agents that are connected."""

from __future__ import annotations

from collections import Counter

from msgspec import structs

from clove._version import __version__
from clove.loop.slices import in_slices
from clove.relay.machines.caller_query import CallerQuery, CallersFound, matching
from clove.relay.machines.machines import visible_to
from clove.relay.records import Identity, TokenKind
from clove.relay.rest.context import Context, shown_time
from clove.relay.rest.metrics import CONTENT_TYPE, exposition
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
        agents=(await _callers(context, _visible(call.identity))).total,
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
    """Remote agents at all relays: all, those on the bearer's machine, or those that came with its token.

    Each relay numbers its own, so several may have the same number: these are in one page.
    """
    page = call.query
    query = _visible(call.identity, page.machine_id)
    after = int(page.after) if page.after else -1
    found = await _callers(context, structs.replace(query, after=after, limit=page.limit + 1))
    callers = sorted(found.callers, key=lambda each: each.agent_id)
    end = page.limit
    while 0 < end < len(callers) and callers[end].agent_id == callers[end - 1].agent_id:
        end += 1
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
        for caller in callers[:end]
    ]
    following = str(shown[-1].agent_id) if end < len(callers) else ""
    return Agents(agents=shown, next=following, relays_missing=found.missing)


def _visible(identity: Identity, machine_id: str = "") -> CallerQuery:
    """Those that a bearer may see, of one machine or of all."""
    if identity.kind is TokenKind.ADMIN:
        return CallerQuery(machine_id=machine_id)
    if identity.kind is TokenKind.MACHINE:
        if machine_id not in ("", identity.machine_id):
            return CallerQuery(
                token_id=identity.token_id, machine_id=machine_id
            )  # none comes with it
        return CallerQuery(machine_id=identity.machine_id)
    return CallerQuery(token_id=identity.token_id, machine_id=machine_id)


async def _callers(context: Context, query: CallerQuery) -> CallersFound:
    here = matching(await context.machines.hub.callers(), query)
    if context.other_callers is None:
        return here
    there = await context.other_callers(query)
    return CallersFound(
        callers=here.callers + there.callers,
        total=here.total + there.total,
        missing=there.missing,
    )
