"""Bounds of metrics."""

from __future__ import annotations

import msgspec

__all__ = ["MetricsLimits"]


class MetricsLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is too much is left out of a reply, which says so; too many that wait are refused."""

    min_interval: float = 0.25
    """Seconds between two samples of the same thing; a request before that gets the last
    sample's figures again."""
    max_waiting: int = 64
    """Requests of one family for samples of agents that wait until these are read; one more gets
    `limit_exceeded`."""
    max_processes: int = 256
    """Processes of one agent that are read; those beyond it are left out of its sums."""
    max_agents: int = 1000
    """Agents in METRICS_ALL_AGENTS and in the Prometheus text; those with the highest
    ids are left out (`truncated`)."""
