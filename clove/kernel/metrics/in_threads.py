"""What the metrics are read by, in threads: each call imports what it needs, so that a kernel that is never
asked for figures has none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clove.messages.metrics import CgroupMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clove.kernel.metrics.readings import AgentReading, SystemReading

__all__ = ["make_text", "read_all", "read_asked", "read_own", "read_system"]


def make_text(*figures: Any) -> bytes:
    """All figures for Prometheus (L{clove.kernel.metrics.prometheus.exposition})."""
    from clove.kernel.metrics.prometheus import exposition

    return exposition(*figures)


def read_system(proc: str) -> SystemReading:
    """The machine's figures."""
    from clove.kernel.metrics import readings

    return readings.read_system(proc)


def read_all(proc: str, wanted: Iterable[tuple[int, str | None]], most: int) -> list[AgentReading]:
    """Those of agents.

    @param wanted: the main process and the cgroup of each; (0, None): it has neither.
    @param most: processes that are looked at for one of them.
    """
    from clove.kernel.metrics.readings import AgentReading, read_agent

    return [
        read_agent(proc, pid, cgroup, most) if pid or cgroup else AgentReading()
        for pid, cgroup in wanted
    ]


def read_own(cgroup: str | None, proc: str, root: str) -> CgroupMetrics:
    """Those of a cgroup that is known, or of the kernel's own."""
    from clove.kernel.metrics.cgroupfs import own_cgroup, read_cgroup, v2_mount

    path = cgroup or own_cgroup(proc, v2_mount(root))
    return CgroupMetrics() if path is None else read_cgroup(path)


def read_asked(path: str, root: str, allowed: list[str] | None) -> CgroupMetrics:
    """Those of a cgroup that is asked for by its path.

    @raise CloveError: it may not be read, or is not there.
    """
    from clove.kernel.metrics.cgroupfs import cgroup_path, read_cgroup, v2_mount

    return read_cgroup(cgroup_path(path, root, v2_mount(root), allowed))
