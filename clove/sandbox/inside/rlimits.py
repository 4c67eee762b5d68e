"""Resource limits of processes (getrlimit(2)).

Process 1 of a sandbox has those of its programs but for descriptors, of which it keeps as
many as the kernel's process may have. Descriptors in flight are counted for a user, and
each sender is refused by its own limit (unix(7), ETOOMANYREFS): so programs stop long
before process 1 and the kernel have to, which are the same user under a rootless kernel.
"""

from __future__ import annotations

import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["NO_CORE", "apply", "of_init", "of_programs"]

NO_CORE = 1
"""RLIMIT_CORE without a core: too little for a file, and the one value at which nothing is
piped to a program either, whereas 0 is no limit for that (do_coredump in fs/coredump.c)."""


def of_init(limits: Mapping[str, int]) -> dict[str, int]:
    """What of a spec's limits process 1 has itself, and hands on."""
    return {**{name: value for name, value in limits.items() if name != "nofile"}, "core": NO_CORE}


def of_programs(limits: Mapping[str, int]) -> dict[str, int]:
    """What a program has beside those of process 1."""
    return {name: value for name, value in limits.items() if name == "nofile"}


def apply(limits: Mapping[str, int], raisable: Collection[str] = ()) -> None:
    """Set soft and hard limits; a hard limit that is lower already stays.

    @param limits: lower-case name without `RLIMIT_` to value; -1: no limit.
    @param raisable: names of those whose hard limit stays as it is.
    @raise OSError, ValueError: no such limit, or the kernel refuses.
    """
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise ValueError(f"no such resource limit: {name}")
        _, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > hard):
            value = hard
        resource.setrlimit(number, (value, hard if name in raisable else value))
