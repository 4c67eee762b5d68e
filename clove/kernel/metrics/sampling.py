"""Processor use from the difference of two readings. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from clove.kernel.metrics.procfs import Ticks

__all__ = ["AgentCpu", "SystemCpu"]


class SystemCpu:
    """Of the machine: each reading against the one before, the first since boot."""

    def __init__(self) -> None:
        self._before: list[Ticks] = []

    def percent(self, ticks: list[Ticks]) -> list[float]:
        """Percent busy, all processors together first, then each."""
        before = self._before
        if len(before) != len(ticks):  # a processor came or went
            before = [Ticks(0, 0)] * len(ticks)
        self._before = ticks
        return [_share(now, then) for now, then in zip(ticks, before, strict=True)]


class _Sample(NamedTuple):
    pid: int
    ticks: int
    now: int
    percent: float


class AgentCpu:
    """Of agents: each reading against the agent's one before, the first since its start."""

    def __init__(self, min_ticks: int) -> None:
        """@param min_ticks: two readings nearer than this are taken for one."""
        self._min_ticks = min_ticks
        self._samples: dict[int, _Sample] = {}

    def percent(self, agent_id: int, pid: int, ticks: int, started: int, now: int) -> float:
        """Percent of one core.

        @param ticks: processor time used, in clock ticks.
        @param started: in ticks since boot.
        @param now: in ticks since boot.
        """
        if pid == 0:
            self._samples.pop(agent_id, None)
            return 0.0
        before = self._samples.get(agent_id)
        if before is None or before.pid != pid:
            before = _Sample(pid, 0, started, 0.0)
        elif now - before.now < self._min_ticks:
            return before.percent
        elapsed = now - before.now
        percent = round(100 * max(0, ticks - before.ticks) / elapsed, 2) if elapsed > 0 else 0.0
        self._samples[agent_id] = _Sample(pid, ticks, now, percent)
        return percent

    def keep_only(self, agent_ids: Collection[int]) -> None:
        """Forget the agents that are gone."""
        for agent_id in self._samples.keys() - set(agent_ids):
            del self._samples[agent_id]


def _share(now: Ticks, then: Ticks) -> float:
    total = now.total - then.total
    if total <= 0:
        return 0.0
    return round(min(100.0, max(0.0, 100 * (now.busy - then.busy) / total)), 2)
