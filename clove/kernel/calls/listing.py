"""LIST and INSPECT: which agents there are, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from clove.kernel import authority
from clove.kernel.answers import then
from clove.kernel.calls.publishing import published_ports
from clove.messages.agents import AgentEnd, AgentEntry, LimitHit

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from clove.kernel.agents import Agent
    from clove.kernel.agents.known_agents import KnownAgents
    from clove.kernel.context import Context
    from clove.kernel.pieces import Pieces
    from clove.kernel.principal import Principal
    from clove.messages.agents import ListRequest

__all__ = ["entry_of", "limit_hit", "list_agents"]

_LIMITS: Final = {"oom": "memory", "pids": "max_pids", "disk": "disk"}
"""Which limit of SPAWN each reason of an end is about."""

PIECE: Final = 16
"""Agents that are looked at in one piece of the work."""


def list_agents(
    ctx: Context, request: ListRequest
) -> list[AgentEntry] | Coroutine[Any, Any, list[AgentEntry]]:
    """The live agents, oldest first; with `all` after those that have ended.

    Of many each is shown as it is when its turn comes.
    """
    caller = ctx.principal
    work = _entries(ctx.kernel.agents.known, request.all, caller)
    return then(ctx.kernel.loop_time.in_turns(work, caller.family), _listed, None)


def _entries(known: KnownAgents, all: bool, caller: Principal) -> Pieces[list[AgentEntry]]:
    """Those that the caller may see of the agents that there are when this begins."""
    agents = [*known.ended(), *known.live()] if all else list(known.live())
    all_may_be_seen = authority.is_free("LIST")
    found = []
    for number, agent in enumerate(agents, 1):
        if all_may_be_seen or authority.may(caller, "LIST", agent.principal):
            found.append(entry_of(agent, caller))
        if number % PIECE == 0:
            yield
    return found


def _listed(entries: list[AgentEntry], _: None) -> list[AgentEntry]:
    return entries


def entry_of(agent: Agent, caller: Principal) -> AgentEntry:
    """One agent as LIST shows it to a caller.

    Arguments and labels may hold secrets: they are for those who may see the output.
    """
    sees = authority.may(caller, "LOGS", agent.principal)
    return AgentEntry(
        id=agent.agent_id,
        name=agent.name,
        pid=agent.pid,
        state=agent.state,
        running=agent.state == "running",
        uptime_ms=agent.uptime_ms,
        parent_id=agent.parent_id,
        restarts=agent.restarts,
        command=agent.command if sees else "",
        labels=dict(agent.labels) if sees else {},
        published=published_ports(agent) if sees else [],
        ended=_end_of(agent) if agent.lifecycle.over else msgspec.UNSET,
    )


def _end_of(agent: Agent) -> AgentEnd:
    life = agent.lifecycle
    return AgentEnd(
        exit_code=life.status.code,
        signal=life.status.signal,
        reason=life.reason,
        limit=limit_hit(agent),
        ms_ago=agent.ended_ms_ago,
    )


def limit_hit(agent: Agent) -> LimitHit | None:
    """The limit that ended its last process, also when that made it escalate; None: none did."""
    life, limits = agent.lifecycle, agent.principal.limits
    name = _LIMITS.get(life.status.reason or life.reason)
    if name is None or limits is None:
        return None
    return LimitHit(name=name, value=getattr(limits, name))
