"""What an agent's isolation lacks, in words that promise no more than holds. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from clove.sandbox.spec import REPORTED, Isolation

__all__ = ["what_is_missing"]

UNCOUNTED = (
    "memory that processes share (memfd, MAP_SHARED, System V) is not counted, nor what all of "
    "them have together"
)


def what_is_missing(
    isolation: Isolation, rlimits: Mapping[str, int], raisable: Collection[str] = ()
) -> str:
    """Why it is not fully isolated; "" if it is.

    @param rlimits: those of its processes, by getrlimit(2).
    @param raisable: names of those that its processes may raise.
    """
    return "; ".join(_missing(isolation, rlimits, "data" in raisable))


def _missing(isolation: Isolation, rlimits: Mapping[str, int], raised: bool) -> Iterator[str]:
    namespaces = [kind for kind in REPORTED if not isolation.namespaces.get(kind)]
    if len(namespaces) == len(REPORTED):
        yield "without namespaces"
    elif namespaces:
        yield f"without a namespace of its own: {', '.join(namespaces)}"
    controllers = {
        "memory": (isolation.memory_limit, _memory(rlimits, raised)),
        "cpu": (isolation.cpu_quota, "it may use all processors, at a low priority"),
        "pids": (isolation.pids_limit, _processes(rlimits)),
    }
    for name, (held, instead) in controllers.items():
        if not held:
            yield f"without the cgroup v2 controller {name}: {instead}"


def _memory(rlimits: Mapping[str, int], raised: bool) -> str:
    private = rlimits.get("data")
    if private is None:
        return "memory is not limited"
    until = ", until it raises that (ulimit -d)" if raised else ""
    return f"each process may have {private} bytes of private memory (rlimits){until}; {UNCOUNTED}"


def _processes(rlimits: Mapping[str, int]) -> str:
    most = rlimits.get("nproc")
    if most is None:
        return "processes are not limited"
    return f"its user may have {most} processes and threads, Clove's own included (rlimits)"
