"""Dry runs: what a syscall would do for a principal, tried in a clone of its sandbox."""

from clove.kernel.dry_run.limits import DryRunLimits
from clove.kernel.dry_run.on_demand import DryRunsOnDemand

__all__ = ["DryRunLimits", "DryRunsOnDemand"]
