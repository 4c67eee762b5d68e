"""Dry runs: what a syscall would do for a principal, tried in a clone of its sandbox."""

from clove.kernel.dry_run.dry_runs import DryRuns
from clove.kernel.dry_run.limits import DryRunLimits

__all__ = ["DryRunLimits", "DryRuns"]
