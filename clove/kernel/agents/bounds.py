"""A child's limits within its parent's. Pure.

Limits are each agent's own: a family takes of memory, processes and CPU what its members may take
together, and how many it has is bounded (`docs/limits.md`). No member has more than its parent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from clove.errors import PermissionDenied

if TYPE_CHECKING:
    from clove.kernel.agents.plan import Limits

__all__ = ["within"]

_PLAIN: Final = ("memory", "max_pids", "cpu_shares")
_CPU: Final = ("cpu_quota", "cpu_period")


def within(limits: Limits, parent: Limits | None) -> Limits:
    """The limits, with defaults that are more than the parent's cut to those.

    @param limits: as they were asked for, defaults filled in.
    @param parent: None: nobody's bound it.
    @raise PermissionDenied: it names more; rule `limits.FIELD`.
    """
    if parent is None:
        return limits
    changes = {
        field: getattr(parent, field)
        for field in _PLAIN
        if getattr(limits, field) > getattr(parent, field)
    }
    # the share of the processors' time that it comes to, whatever the period
    if limits.cpu_quota * parent.cpu_period > parent.cpu_quota * limits.cpu_period:
        changes |= {field: getattr(parent, field) for field in _CPU}
    for field in changes:
        if field in limits.named:
            raise PermissionDenied(
                f"{_said(limits, field)} is more than the parent's, {_said(parent, field)}",
                rule=f"limits.{field}",
                hint=f"ask for no more than that, or leave {field} out",
            )
    return replace(limits, **changes, cut=frozenset(changes))


def _said(limits: Limits, field: str) -> str:
    if field in _CPU:
        return f"cpu_quota {limits.cpu_quota} in cpu_period {limits.cpu_period}"
    return f"{field} {getattr(limits, field)}"
