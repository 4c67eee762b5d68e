"""INSPECT, RESTART, SIGNAL, RENAME and PRUNE."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final

from clove.errors import InvalidRequest, Unavailable
from clove.kernel import authority
from clove.kernel.answers import then
from clove.kernel.calls.agents import find_target
from clove.kernel.calls.listing import entry_of
from clove.kernel.calls.publishing import prepare_ports, published_ports, require_publisher
from clove.messages.managing import (
    InspectReply,
    PruneReply,
    RenameReply,
    RestartReply,
    SignalReply,
    UpdateReply,
)
from clove.signals import signal_number

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from clove.kernel.agents import Agent
    from clove.kernel.agents.known_agents import KnownAgents
    from clove.kernel.context import Context
    from clove.kernel.launch.facilities import PortChange
    from clove.kernel.launch.resource_limits import ResourceLimits
    from clove.kernel.pieces import Pieces
    from clove.kernel.principal import Principal
    from clove.messages.agents import LimitsRequest, TargetRequest
    from clove.messages.managing import (
        PruneRequest,
        RenameRequest,
        RestartRequest,
        SignalRequest,
        UpdateRequest,
    )

__all__ = ["inspect", "prune", "rename", "restart", "send_signal", "update"]

FORGOTTEN: Final = 8
"""Agents that are judged, and perhaps forgotten, in one piece of the work."""


def inspect(ctx: Context, request: TargetRequest) -> InspectReply:
    """All that is known of an agent, also of one that has ended."""
    agent = find_target(ctx, request, "INSPECT", ended=True)
    principal, asked = agent.principal, agent.request
    limits = principal.limits
    return InspectReply(
        agent=entry_of(agent, ctx.principal),
        script=asked.script if asked else None,
        args=list(asked.args or ()) if asked else [],
        command=list(asked.command or ()) if asked else [],
        cwd=principal.cwd,
        mounts=list(asked.mounts or ()) if asked else [],
        timeout=asked.timeout if asked else None,
        python=asked.python if asked else None,
        env=sorted(asked.env or ()) if asked else [],
        secrets=sorted(asked.secrets or ()) if asked else [],
        restart_policy=agent.lifecycle.policy.when,
        max_restarts=agent.lifecycle.policy.max_restarts or 0,
        sandboxed=principal.sandboxed,
        network=principal.network,
        warm=agent.warm,
        ancestors=list(principal.ancestors),
        limits=limits.to_wire() if limits else {},
        permissions=dict(principal.permissions.to_wire()),
        isolation=agent.isolation,
        cgroup=agent.cgroup,
    )


async def restart(ctx: Context, request: RestartRequest) -> RestartReply:
    """End an agent's process and start it anew; answers when it runs again."""
    agent = find_target(ctx, request, "RESTART")
    await agent.restart(request.grace)
    return RestartReply(
        restarted=True, agent_id=agent.agent_id, pid=agent.pid, restarts=agent.restarts
    )


async def send_signal(ctx: Context, request: SignalRequest) -> SignalReply:
    """Send a signal to an agent's main program."""
    number = signal_number(request.signal)
    agent = find_target(ctx, request, "SIGNAL")
    agent.lifecycle.require_running("signalled")
    sandbox = agent.sandbox
    if sandbox is None:
        raise InvalidRequest("the agent has no process now")
    await sandbox.signal(number)
    return SignalReply(signalled=True, agent_id=agent.agent_id, signal=signal.Signals(number).name)


def rename(ctx: Context, request: RenameRequest) -> RenameReply:
    """Give an agent another name."""
    agent = find_target(ctx, request, "RENAME", ended=True)
    old = agent.name
    ctx.kernel.agents.rename(agent, request.new_name, operator=ctx.principal.is_operator)
    return RenameReply(agent_id=agent.agent_id, name=agent.name, old_name=old)


def prune(ctx: Context, request: PruneRequest) -> PruneReply | Coroutine[Any, Any, PruneReply]:
    """Forget ended agents, with the output of theirs that is held in memory.

    @raise InvalidRequest: the one that is named lives; or it is not said which, or said twice.
    """
    known, caller = ctx.kernel.agents.known, ctx.principal
    if request.name or request.id or request.agent_id:
        if request.older_than:
            raise InvalidRequest("PRUNE forgets one that is named, or all that are `older_than`")
        agent = find_target(ctx, request, "PRUNE", ended=True)
        if not agent.lifecycle.over:
            raise InvalidRequest(f"agent {agent.agent_id} lives", hint="KILL it first")
        known.forget(agent.agent_id)
        return _pruned([agent.agent_id])
    if request.older_than is None:
        raise InvalidRequest("PRUNE needs a name, an id or `older_than`", hint="0 for all")
    forgetting = _forget(known, caller, request.older_than * 1000)
    return then(ctx.kernel.loop_time.in_turns(forgetting, caller.family), _pruned, None)


def _forget(known: KnownAgents, caller: Principal, oldest: float) -> Pieces[list[int]]:
    """Judge and forget some at a time: to free what was kept of one takes a while.

    @param oldest: milliseconds since the end of those that may stay.
    """
    forgotten: list[int] = []
    for number, agent in enumerate(known.ended(), 1):
        if agent.ended_ms_ago >= oldest and authority.may(caller, "PRUNE", agent.principal):
            known.forget(agent.agent_id)
            forgotten.append(agent.agent_id)
        if number % FORGOTTEN == 0:
            yield
    return forgotten


def _pruned(agent_ids: list[int], _: None = None) -> PruneReply:
    return PruneReply(count=len(agent_ids), agent_ids=agent_ids)


async def update(ctx: Context, request: UpdateRequest) -> UpdateReply:
    """Change the limits of a running agent, never beyond those of its parent or the caller, and
    which of its ports are published: all that the request names, or nothing.

    @raise InvalidRequest: nothing is named; or it uses more memory than it would have, or something
        that it has started may.
    @raise PermissionDenied: rule `limits.FIELD` or `publish`.
    @raise IsolationUnavailable: this host cannot enforce one.
    """
    agent = find_target(ctx, request, "UPDATE")
    if agent.provision is None:
        raise Unavailable(f"agent {agent.agent_id} is ending")
    changes_ports = bool(request.publish or request.unpublish)
    if request.limits is None and not changes_ports:
        raise InvalidRequest("UPDATE needs `limits`, `publish` or `unpublish`")
    ports: PortChange | None = None
    if changes_ports:
        require_publisher(ctx.principal)
        ports = prepare_ports(agent, request.publish or [], request.unpublish or [])
    named: frozenset[str] = frozenset()
    now: frozenset[str] = frozenset()
    try:
        if request.limits is not None:
            named, now = await _update_limits(ctx, agent, request.limits)
        if ports is not None:
            ports.commit()
    finally:
        if ports is not None:
            ports.abandon()
    limits = agent.principal.limits
    return UpdateReply(
        agent_id=agent.agent_id,
        limits=limits.to_wire() if limits else {},
        applied=sorted(now),
        at_restart=sorted(named - now),
        published=published_ports(agent),
    )


async def _update_limits(
    ctx: Context, agent: Agent, asked: LimitsRequest
) -> tuple[frozenset[str], frozenset[str]]:
    """The fields that are named now, and those that bind at once."""
    parent = ctx.kernel.registry.get(agent.parent_id)
    bounds = [one.limits for one in (parent, ctx.principal) if one is not None and one.limits]

    def children() -> list[tuple[str, ResourceLimits]]:
        started = (one for one in ctx.kernel.agents.known.live() if one.parent_id == agent.agent_id)
        return [(one.name, one.principal.limits) for one in started if one.principal.limits]

    assert agent.provision is not None
    return await agent.provision.update_limits(asked, bounds, children)
