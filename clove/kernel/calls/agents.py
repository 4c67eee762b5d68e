"""SPAWN, KILL, PAUSE, RESUME, LOGS and WAIT."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as NotInTime

from clove.errors import InvalidRequest, TimedOut
from clove.kernel import authority
from clove.kernel.calls.grants import check_mounts, spawn_grants, with_mounts
from clove.kernel.calls.listing import limit_hit
from clove.kernel.calls.publishing import published_ports, require_publisher
from clove.kernel.calls.scripts import find_program
from clove.kernel.mounts.mount_request import NOTHING
from clove.kernel.registry import check_name
from clove.messages.agents import (
    KillReply,
    LogsReply,
    PauseReply,
    ResumeReply,
    SpawnReply,
    WaitReply,
    without_defaults,
)
from clove.policy import Level, for_level, narrow, parse, requested_fields
from clove.spelling import near, shown

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.connection.stream import Stream
    from clove.kernel.context import Context
    from clove.kernel.principal import Principal
    from clove.messages.agents import (
        KillRequest,
        LogsRequest,
        SpawnRequest,
        TargetRequest,
        WaitRequest,
    )
    from clove.policy import Permissions

__all__ = ["find_target", "kill", "logs", "pause", "resume", "spawn", "wait"]

BUDGET = ("max_tokens", "max_calls")
LINES_AT_ONCE = 1000
"""Log lines in one reply."""


async def spawn(ctx: Context, request: SpawnRequest) -> SpawnReply:
    """Start an agent, never with more than its spawner has."""
    principal = ctx.principal
    if ctx.push is None:  # version 1
        request = without_defaults(request)
    check_name(request.name)
    wanted = _wanted(principal, request)
    if request.mounts:
        wanted = with_mounts(wanted, request)
    permissions = wanted if principal.is_operator else narrow(principal.permissions, wanted)
    authority.check_spawn(
        principal,
        sandboxed=request.sandboxed,
        degraded=request.allow_degraded or bool(request.degrade),
        network=bool(request.network),
    )
    if request.publish:
        require_publisher(principal)
    agents = ctx.kernel.agents
    find = functools.partial(find_program, ctx, request, agents.script_limit)
    if request.mounts:
        check_mounts(principal, request, permissions)
    named = request.mounts or request.permissions
    grants = spawn_grants(principal, request, wanted) if named else NOTHING
    agent = await agents.spawn(principal, request, permissions, find, grants)
    return SpawnReply(
        id=agent.agent_id,
        agent_id=agent.agent_id,
        name=agent.name,
        pid=agent.pid,
        status=agent.state,
        restart_policy=request.restart_policy,
        warm=agent.warm,
        isolation=agent.isolation,
        published=published_ports(agent) if request.publish else [],
    )


def _wanted(principal: Principal, request: SpawnRequest) -> Permissions:
    """What the new agent shall be able to do: `standard`, or what was asked for.

    It gets that within its parent's. What an operator grants stands as it is: an operator's
    permissions have no bounds, and may contain a rule that names a private address.
    To ask for the network is to ask for `can_http`, unless the permissions name it.
    """
    asked = request.permissions
    named: frozenset[str] = frozenset()
    if isinstance(asked, str):
        wanted = parse(asked, None, principal.permissions)
    elif asked:
        wanted = parse(None, asked, for_level(Level.STANDARD))
        named = requested_fields(asked)
    else:
        wanted = for_level(Level.STANDARD)
    if request.network and "can_http" not in named:  # the network is of no use without
        wanted = msgspec.structs.replace(wanted, can_http=True)
    return _with_budget(wanted, request.llm_budget)


def _with_budget(wanted: Permissions, budget: int | dict[str, int | None] | None) -> Permissions:
    """Add SPAWN's `llm_budget`: tokens, or {max_tokens, max_calls}."""
    if budget is None:
        return wanted
    fields = {"max_tokens": budget} if isinstance(budget, int) else budget
    for name in fields.keys() - BUDGET:
        raise InvalidRequest(f"llm_budget has no `{shown(name)}`", hint=near(name, BUDGET))
    said = {key: value for key, value in fields.items() if value is not None}
    if any(value < 0 for value in said.values()):
        raise InvalidRequest("llm_budget is a number of tokens or {max_tokens, max_calls}")
    changes = {f"max_llm_{key.removeprefix('max_')}": value for key, value in said.items()}
    return msgspec.structs.replace(wanted, **changes)


def find_target(ctx: Context, request: TargetRequest, what: str, *, ended: bool = False) -> Agent:
    """The agent that a request names.

    @param ended: also one that has ended and is known still.
    @raise NotFound, InvalidRequest: there is none; none is named, or two are.
    @raise PermissionDenied: the caller may not do this to it.
    """
    agent_id, name = request.id or request.agent_id, request.name or None  # there is no id 0
    if not agent_id and name is None:
        raise InvalidRequest(f"{what} needs a name or an id")
    if request.agent_id and request.agent_id != agent_id:
        raise InvalidRequest(
            f"{what} names two agents: {agent_id} and {request.agent_id}", hint="give one `id`"
        )
    agent = ctx.kernel.agents.find(agent_id=agent_id or None, name=name, ended=ended)
    authority.require(ctx.principal, what, agent.principal)
    if name is not None and agent.name != name:
        raise InvalidRequest(
            f"{what} names two agents: {agent_id} is {agent.name!r}, not {shown(name)!r}",
            hint="give its name or its id alone",
        )
    return agent


async def kill(ctx: Context, request: KillRequest) -> KillReply:
    """End an agent for good; answers when it has ended."""
    agent = find_target(ctx, request, "KILL")
    ended = agent.wait()
    agent.stop(request.grace)
    await ended
    return KillReply(killed=True, agent_id=agent.agent_id)


async def pause(ctx: Context, request: TargetRequest) -> PauseReply:
    """Stop all of an agent's processes for a while."""
    agent = find_target(ctx, request, "PAUSE")
    await agent.pausing.pause()
    return PauseReply(paused=True, agent_id=agent.agent_id)


async def resume(ctx: Context, request: TargetRequest) -> ResumeReply:
    """Let a paused agent go on."""
    agent = find_target(ctx, request, "RESUME")
    await agent.pausing.resume()
    return ResumeReply(resumed=True, agent_id=agent.agent_id)


def _page(agent: Agent, since: int) -> LogsReply:
    lines, lost = agent.logbook.lines_since(since, LINES_AT_ONCE)
    following = lines[-1].offset + 1 if lines else max(since, agent.logbook.next_offset)
    return LogsReply(agent_id=agent.agent_id, lines=lines, next=following, lost=lost)


async def logs(ctx: Context, request: LogsRequest) -> LogsReply:
    """An agent's output; with `follow`, until it has ended."""
    agent = find_target(ctx, request, "LOGS", ended=True)
    if not request.follow:
        return _page(agent, request.since)
    if ctx.stream is None:
        raise InvalidRequest("follow needs protocol version 2", hint="send HELLO first")
    return await _follow(ctx, agent, request.since, ctx.stream)


async def _follow(ctx: Context, agent: Agent, since: int, stream: Stream) -> LogsReply:
    """Send pages until the agent has ended, at the client's pace.

    Lines that it does not come to read while they are held count as `lost` in the next page.
    """
    while True:
        await stream.clear()
        page = _page(agent, since)
        since = page.next
        if page.lines or page.lost:
            stream(page)
        elif agent.lifecycle.over:
            return page
        else:
            await _next_line(agent)
            await ctx.kernel.loop_time.next_turn(ctx.principal.family)  # not in the writer's


async def _next_line(agent: Agent) -> None:
    """Wait until an agent has written a line, or has ended."""
    more: Deferred[None] = Deferred()

    def wake() -> None:
        if not more.called:
            more.callback(None)

    unwatch = agent.logbook.watch(wake)
    try:
        await more
    finally:
        unwatch()


async def wait(ctx: Context, request: WaitRequest) -> WaitReply:
    """Wait until an agent has ended for good, and say how."""
    agent = find_target(ctx, request, "WAIT", ended=True)
    ended = agent.wait()
    if request.timeout is not None:
        ended.addTimeout(request.timeout, ctx.kernel.clock)
    try:
        await ended
    except NotInTime:
        raise TimedOut(f"agent {agent.agent_id} still lives after {request.timeout} s") from None
    lifecycle = agent.lifecycle
    return WaitReply(
        agent_id=agent.agent_id,
        name=agent.name,
        exit_code=lifecycle.status.code,
        signal=lifecycle.status.signal,
        reason=lifecycle.reason,
        restarts=agent.restarts,
        limit=limit_hit(agent),
    )
