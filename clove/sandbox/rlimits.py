"""Resource limits of processes (getrlimit(2))."""

from __future__ import annotations

import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["apply"]


def apply(limits: Mapping[str, int]) -> None:
    """Set soft and hard limits; a hard limit that is lower already stays.

    @param limits: lower-case name without `RLIMIT_` to value; -1: no limit.
    @raise OSError, ValueError: no such limit, or the kernel refuses.
    """
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise ValueError(f"no such resource limit: {name}")
        _, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard):
            value = hard
        resource.setrlimit(number, (value, value))
