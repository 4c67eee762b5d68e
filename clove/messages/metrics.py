"""METRICS_SYSTEM, METRICS_AGENT, METRICS_ALL_AGENTS and METRICS_CGROUP.

Sizes are bytes; percentages are 0 to 100 for the machine, and of one core for
an agent (so they may be above 100).
"""

from __future__ import annotations

from typing import Any

import msgspec

from clove.messages.base import Reply, Request

__all__ = [
    "AgentMetrics",
    "CgroupCpu",
    "CgroupFigures",
    "CgroupMemory",
    "CgroupMetrics",
    "CgroupPids",
    "Cpu",
    "Disk",
    "LLMFigures",
    "Memory",
    "MetricsAgentReply",
    "MetricsAgentRequest",
    "MetricsAllAgentsReply",
    "MetricsCgroupReply",
    "MetricsCgroupRequest",
    "MetricsSystemReply",
    "Network",
    "Process",
    "ProcessCpu",
    "ProcessMemory",
    "ReactorTurns",
    "SystemMetrics",
]


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """Processors. `percent` is the share that was busy since the previous sample."""

    percent: float = 0.0
    per_core: list[float] = []
    count: int = 0
    load_avg: tuple[float, ...] = (0.0, 0.0, 0.0)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Main memory; `used` is what is not available."""

    total: int = 0
    available: int = 0
    used: int = 0
    percent: float = 0.0


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of all disks since boot."""

    read_bytes: int = 0
    write_bytes: int = 0


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of all interfaces but loopback since boot."""

    bytes_sent: int = 0
    bytes_recv: int = 0


class ReactorTurns(msgspec.Struct, kw_only=True):
    """What the watchdog has seen of the kernel's reactor so far.

    @ivar busy: turns that used too much processor time.
    @ivar held_up: turns that waited for something too long.
    @ivar longest: seconds of processor time of the longest turn.
    """

    busy: int = 0
    held_up: int = 0
    longest: float = 0.0


class SystemMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The machine, and the kernel's reactor.

    @ivar compiled: connections are served by the compiled part.
    """

    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    disk: Disk = Disk()
    network: Network = Network()
    reactor: ReactorTurns = msgspec.field(default_factory=ReactorTurns)
    compiled: bool = False


class MetricsSystemReply(Reply, frozen=True, kw_only=True):
    """The machine's metrics; an empty object in an error."""

    metrics: SystemMetrics | dict[str, Any] = {}


class ProcessCpu(msgspec.Struct, frozen=True, kw_only=True):
    """Share of one core since the previous sample; in the first since the start."""

    percent: float = 0.0


class ProcessMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident and virtual memory."""

    rss: int = 0
    vms: int = 0


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's processes together; `pid` is the main one's, 0 if none runs."""

    pid: int = 0
    cpu: ProcessCpu = ProcessCpu()
    memory: ProcessMemory = ProcessMemory()
    threads: int = 0
    fds: int = 0


class CgroupFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent's cgroup has counted; all 0 if it is not `valid`."""

    valid: bool = False
    cpu_usage_usec: int = 0
    mem_current: int = 0


class LLMFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Use of the language model; a budget of 0 is none."""

    tokens: int = 0
    calls: int = 0
    budget: int = 0


class AgentMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. `status` is as in LIST, or `connected` for one that was not spawned.

    `limits` are SPAWN's, in its units; `outstanding` has the syscalls that it waits for, by name.
    """

    agent_id: int = 0
    name: str = ""
    status: str = ""
    uptime_ms: int = 0
    parent_id: int = 0
    restarts: int = 0
    process: Process = Process()
    cgroup: CgroupFigures = CgroupFigures()
    syscalls: int = 0
    llm: LLMFigures = LLMFigures()
    limits: dict[str, int] = {}
    outstanding: dict[str, int] = {}


class MetricsAgentRequest(Request, frozen=True, kw_only=True):
    """Without an id (or with 0): one's own."""

    agent_id: int | None = None


class MetricsAgentReply(Reply, frozen=True, kw_only=True):
    """One agent's metrics; an empty object in an error."""

    metrics: AgentMetrics | dict[str, Any] = {}


class MetricsAllAgentsReply(Reply, frozen=True, kw_only=True):
    """Every agent that the caller may see."""

    agents: list[AgentMetrics] = []
    count: int = 0
    truncated: bool = False


class MetricsCgroupRequest(Request, frozen=True, kw_only=True):
    """Without a path: one's own cgroup."""

    cgroup_path: str | None = None


class CgroupCpu(msgspec.Struct, frozen=True, kw_only=True):
    """From cpu.stat and cpu.max; a quota of 0 is none."""

    usage_usec: int = 0
    user_usec: int = 0
    system_usec: int = 0
    nr_periods: int = 0
    nr_throttled: int = 0
    throttled_usec: int = 0
    quota_usec: int = 0
    period_usec: int = 0


class CgroupMemory(msgspec.Struct, frozen=True, kw_only=True):
    """From memory.current, memory.peak, memory.max and memory.events; a maximum of 0 is none."""

    current: int = 0
    peak: int = 0
    max: int = 0
    oom_kills: int = 0


class CgroupPids(msgspec.Struct, frozen=True, kw_only=True):
    """From pids.current and pids.max; a maximum of 0 is none."""

    current: int = 0
    max: int = 0


class CgroupMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """One cgroup (version 2); all 0 where the host has no such controller."""

    valid: bool = False
    path: str = ""
    cpu: CgroupCpu = CgroupCpu()
    memory: CgroupMemory = CgroupMemory()
    pids: CgroupPids = CgroupPids()


class MetricsCgroupReply(Reply, frozen=True, kw_only=True):
    """A cgroup's metrics; an empty object in an error."""

    metrics: CgroupMetrics | dict[str, Any] = {}
