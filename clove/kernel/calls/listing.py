"""LIST and INSPECT: which agents there are, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from clove.kernel import authority
from clove.kernel.calls.publishing import published_ports
from clove.messages.agents import AgentEnd, AgentEntry, LimitHit

if TYPE_CHECKING:
    from clove.kernel.agents import Agent
    from clove.kernel.context import Context
    from clove.kernel.principal import Principal
    from clove.messages.agents import ListRequest

__all__ = ["entry_of", "limit_hit", "list_agents"]

_LIMITS: Final = {"oom": "memory", "pids": "max_pids", "disk": "disk"}
"""Which limit of SPAWN each reason of an end is about."""


def list_agents(ctx: Context, request: ListRequest) -> list[AgentEntry]:
    """The live agents, oldest first; with `all` after those that have ended."""
    known = ctx.kernel.agents.known
    agents = [*known.ended(), *known.live()] if request.all else list(known.live())
    caller = ctx.principal
    if not authority.is_free("LIST"):
        agents = [one for one in agents if authority.may(caller, "LIST", one.principal)]
    return [entry_of(agent, caller) for agent in agents]


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
