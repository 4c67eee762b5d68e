"""What is known of an agent without reading anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from clove.kernel.metrics.sources import Caller, Record

__all__ = ["NOTHING", "Subject", "connected", "spawned"]


class Subject(NamedTuple):
    """An agent whose metrics are asked for: what is known without reading."""

    agent_id: int
    name: str
    status: str
    uptime_ms: int = 0
    parent_id: int = 0
    restarts: int = 0
    pid: int = 0
    cgroup: str | None = None
    syscalls: int = 0
    limits: dict[str, int] = {}
    outstanding: dict[str, int] = {}
    budget: int = 0


NOTHING: Final = Subject(0, "", "")
"""Of an agent without a principal."""


def connected(caller: Caller) -> Subject:
    """A principal, as long as nothing else is known of it."""
    return Subject(
        caller.agent_id,
        caller.name,
        "connected",
        parent_id=caller.parent_id,
        syscalls=caller.syscalls,
        limits=caller.limits.to_wire() if caller.limits else {},
        outstanding=dict(caller.outstanding),
        budget=caller.permissions.max_llm_tokens,
    )


def spawned(record: Record, caller: Subject) -> Subject:
    """A spawned agent.

    @param caller: what is known of its principal.
    """
    return Subject(
        record.agent_id,
        record.name,
        record.state,
        uptime_ms=record.uptime_ms,
        parent_id=record.parent_id,
        restarts=record.restarts,
        pid=record.pid,
        cgroup=record.cgroup,
        syscalls=caller.syscalls,
        limits=caller.limits,
        outstanding=caller.outstanding,
        budget=caller.budget,
    )
