"""Watching the kernel: metrics and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.client.call import Call, optional
from clove.framing import Opcode

if TYPE_CHECKING:
    from clove.client.results import (
        GetAuditLogReply,
        MetricsAgentReply,
        MetricsAllAgentsReply,
        MetricsCgroupReply,
        MetricsSystemReply,
        SetAuditConfigReply,
    )

__all__ = [
    "get_agent_metrics",
    "get_all_agent_metrics",
    "get_audit_log",
    "get_cgroup_metrics",
    "get_system_metrics",
    "set_audit_config",
]


def get_system_metrics() -> Call[MetricsSystemReply]:
    """The host: success, metrics {cpu, memory, disk, network}."""
    return Call(Opcode.METRICS_SYSTEM, {}, idempotent=True)


def get_agent_metrics(agent_id: int | None = None) -> Call[MetricsAgentReply]:
    """One agent (by default oneself): success, metrics."""
    return Call(Opcode.METRICS_AGENT, optional(agent_id=agent_id), idempotent=True)


def get_all_agent_metrics() -> Call[MetricsAllAgentsReply]:
    """Every agent one may see: success, agents, count."""
    return Call(Opcode.METRICS_ALL_AGENTS, {}, idempotent=True)


def get_cgroup_metrics(cgroup_path: str | None = None) -> Call[MetricsCgroupReply]:
    """A cgroup (by default one's own): success, metrics {cpu, memory, pids}."""
    return Call(Opcode.METRICS_CGROUP, optional(cgroup_path=cgroup_path), idempotent=True)


def get_audit_log(
    category: str | None = None,
    *,
    agent_id: int | None = None,
    since_id: int | None = None,
    limit: int | None = None,
) -> Call[GetAuditLogReply]:
    """Read the audit log.

    @param category: SECURITY, AGENT_LIFECYCLE, IPC, STATE_STORE, RESOURCE,
        SYSCALL, NETWORK or WORLD.
    @param since_id: only entries after this one.
    @param limit: how many at most (100).
    @return: success, count, entries: a list of {id, timestamp, category,
        event_type, agent_id, agent_name, success, details}.
    """
    fields = optional(category=category, agent_id=agent_id, since_id=since_id, limit=limit)
    return Call(Opcode.GET_AUDIT_LOG, fields, idempotent=True)


def set_audit_config(
    *,
    max_entries: int | None = None,
    log_syscalls: bool | None = None,
    log_security: bool | None = None,
    log_lifecycle: bool | None = None,
    log_ipc: bool | None = None,
    log_state: bool | None = None,
    log_resource: bool | None = None,
    log_network: bool | None = None,
    log_world: bool | None = None,
) -> Call[SetAuditConfigReply]:
    """Say what is audited; what is not named stays. Gives success, config."""
    fields = optional(
        max_entries=max_entries,
        log_syscalls=log_syscalls,
        log_security=log_security,
        log_lifecycle=log_lifecycle,
        log_ipc=log_ipc,
        log_state=log_state,
        log_resource=log_resource,
        log_network=log_network,
        log_world=log_world,
    )
    return Call(Opcode.SET_AUDIT_CONFIG, fields, idempotent=True)
