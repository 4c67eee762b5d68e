"""The groups of measurements, in the order in which they are taken."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.figures import Curve, Figure
from bench.plan import Plan

__all__ = ["GROUPS", "Group"]


@dataclass(frozen=True)
class Group:
    """One of them.

    @ivar where: `module:function`: it gets a plan and yields figures and curves.
    """

    name: str
    title: str
    where: str

    def load(self) -> Callable[[Plan], Iterator[Figure | Curve]]:
        """Its function, which is imported now."""
        module, _, name = self.where.partition(":")
        found: Callable[[Plan], Iterator[Figure | Curve]]
        found = getattr(importlib.import_module(f"bench.{module}"), name)
        return found


GROUPS = {
    group.name: group
    for group in (
        Group("requests", "Requests a second, as ratios to the C echo", "requests:requests"),
        Group("redis", "State beside Redis", "requests:against_redis"),
        Group("versions", "Version 2 of the protocol", "versions:versions"),
        Group("idle", "Little to do", "idle:idle"),
        Group("stages", "Stages of a request", "existing:stages"),
        Group("turns", "One request with full tables", "existing:turns"),
        Group("load", "Latency against load, throughput", "load_curves:load_curves"),
        Group("fairness", "A flood beside another client", "fairness:fairness"),
        Group("keys", "Growth with keys", "keys:keys"),
        Group("connections", "Growth with idle connections", "growth:connections"),
        Group("agents", "Growth with idle agents", "growth:agents"),
        Group("start", "A kernel's start", "existing:start"),
        Group("spawn", "Agents: start, end, memory, connections out", "existing:spawn"),
        Group("isolation", "Beside agents that misbehave", "existing:isolation"),
        Group("output", "An agent's output", "existing:output"),
        Group("cli", "The command line", "existing:cli"),
        Group("thinking", "THINK, beside LiteLLM", "thinking:thinking"),
        Group("relay", "Through a relay", "existing:relay"),
        Group("fleet", "Tunnels to a relay", "existing:fleet"),
    )
}
