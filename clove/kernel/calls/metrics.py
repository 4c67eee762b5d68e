"""METRICS_SYSTEM, METRICS_AGENT, METRICS_ALL_AGENTS and METRICS_CGROUP.

The machine's figures are for all; an agent's are for itself, its ancestors
and operators.
"""

from __future__ import annotations

from clove.kernel import authority
from clove.kernel.context import Context
from clove.messages.metrics import (
    MetricsAgentReply,
    MetricsAgentRequest,
    MetricsAllAgentsReply,
    MetricsCgroupReply,
    MetricsCgroupRequest,
    MetricsSystemReply,
)
from clove.messages.session import EmptyRequest

__all__ = ["metrics_agent", "metrics_all_agents", "metrics_cgroup", "metrics_system"]


async def metrics_system(ctx: Context, request: EmptyRequest) -> MetricsSystemReply:
    """The machine's metrics."""
    return MetricsSystemReply(metrics=await ctx.kernel.metrics.system(ctx.principal))


async def metrics_agent(ctx: Context, request: MetricsAgentRequest) -> MetricsAgentReply:
    """One agent's metrics.

    @raise NotFound: no such agent.
    @raise PermissionDenied: neither oneself nor a descendant (rule `descendants`).
    """
    own = ctx.principal.agent_id
    agent_id = request.agent_id or own
    target = ctx.principal if agent_id == own else ctx.kernel.registry.get(agent_id)
    authority.require(ctx.principal, "METRICS_AGENT", target, agent_id)
    return MetricsAgentReply(metrics=await ctx.kernel.metrics.agent(agent_id, ctx.principal))


async def metrics_all_agents(ctx: Context, request: EmptyRequest) -> MetricsAllAgentsReply:
    """Metrics of all agents that the caller may see."""
    visible = _visible(ctx, "METRICS_ALL_AGENTS")
    agents, truncated = await ctx.kernel.metrics.all_agents(
        None if visible is None else visible.__contains__, ctx.principal
    )
    return MetricsAllAgentsReply(agents=agents, count=len(agents), truncated=truncated)


async def metrics_cgroup(ctx: Context, request: MetricsCgroupRequest) -> MetricsCgroupReply:
    """A cgroup's metrics.

    @raise InvalidRequest: not a path of a cgroup.
    @raise PermissionDenied: not a cgroup that the caller may see.
    @raise NotFound: there is none.
    """
    caller = ctx.principal
    metrics = await ctx.kernel.metrics.cgroup(
        request.cgroup_path, _visible(ctx, "METRICS_CGROUP"), caller.agent_id, caller
    )
    return MetricsCgroupReply(metrics=metrics)


def _visible(ctx: Context, call: str) -> frozenset[int] | None:
    """The agents whose metrics the caller may see; None: all, and those of no agent."""
    if authority.may(ctx.principal, call, None):
        return None
    seen = authority.visible(ctx.principal, call, ctx.kernel.registry)
    return frozenset(principal.agent_id for principal in seen)
