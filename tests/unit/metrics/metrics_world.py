"""Principals and agents whose metrics are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.task import Clock

from clove.kernel.context import Context, Kernel
from clove.kernel.metrics import Metrics
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.policy import Level, for_level
from clove.threads.threads import Threads

reactor: Any = global_reactor


@dataclass
class Record:
    """A spawned agent."""

    agent_id: int
    parent_id: int = 0
    pid: int = 0
    name: str = "worker"
    state: str = "running"
    uptime_ms: int = 1234
    restarts: int = 2
    cgroup: str | None = None


@dataclass
class Agents:
    """Spawned agents."""

    list: list[Record] = field(default_factory=list)

    def records(self) -> Iterable[Record]:
        return self.list


@dataclass
class World:
    """Principals, agents and their metrics."""

    threads: Threads
    clock: Clock = field(default_factory=Clock)
    agents: Agents = field(default_factory=Agents)
    registry: Registry = field(default_factory=Registry)
    used: dict[int, dict[str, int]] = field(default_factory=dict)

    def metrics(self, **options: Any) -> Metrics:
        return Metrics(
            self.clock,
            self.threads,
            self.agents,
            self.registry,
            llm_usage=lambda id: self.used.get(id, {}),
            **options,
        )

    def principal(self, kind: Kind = Kind.AGENT, parent: Principal | None = None) -> Principal:
        ancestors = () if parent is None else (parent.agent_id, *parent.ancestors)
        principal = Principal(
            self.registry.new_id(), kind, for_level(Level.STANDARD), ancestors=ancestors
        )
        self.registry.add(principal)
        return principal

    def context(self, who: Principal, metrics: Metrics | None = None) -> Context:
        kernel = SimpleNamespace(metrics=metrics or self.metrics(), registry=self.registry)
        return Context(cast(Kernel, kernel), who)
