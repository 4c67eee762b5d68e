"""Metrics: what the machine, the agents and their cgroups use."""

from clove.kernel.metrics.limits import MetricsLimits
from clove.kernel.metrics.metrics import Metrics
from clove.kernel.metrics.sources import Caller, Callers, Record, Records

__all__ = ["Caller", "Callers", "Metrics", "MetricsLimits", "Record", "Records"]
