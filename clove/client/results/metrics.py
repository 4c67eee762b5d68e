"""What the calls of `clove.messages.metrics` give. Made by tools/results.py: do not edit."""

from typing import TypedDict

from clove.client.results.base import Reply

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
    "MetricsAllAgentsReply",
    "MetricsCgroupReply",
    "MetricsSystemReply",
    "Network",
    "Process",
    "ProcessCpu",
    "ProcessMemory",
    "ReactorTurns",
    "SystemMetrics",
]


class Cpu(TypedDict):
    """Processors. `percent` is the share that was busy since the previous sample."""

    percent: float
    per_core: list[float]
    count: int
    load_avg: list[float]


class Memory(TypedDict):
    """Main memory; `used` is what is not available."""

    total: int
    available: int
    used: int
    percent: float


class Disk(TypedDict):
    """Bytes of all disks since boot."""

    read_bytes: int
    write_bytes: int


class Network(TypedDict):
    """Bytes of all interfaces but loopback since boot."""

    bytes_sent: int
    bytes_recv: int


class ReactorTurns(TypedDict):
    """What the watchdog has seen of the kernel's reactor so far.

    @ivar busy: turns that used too much processor time.
    @ivar held_up: turns that waited for something too long.
    @ivar longest: seconds of processor time of the longest turn.
    """

    busy: int
    held_up: int
    longest: float


class SystemMetrics(TypedDict):
    """The machine, and the kernel's reactor.

    @ivar compiled: connections are served by the compiled part.
    """

    cpu: Cpu
    memory: Memory
    disk: Disk
    network: Network
    reactor: ReactorTurns
    compiled: bool


class MetricsSystemReply(Reply):
    """The machine's metrics; an empty object in an error."""

    metrics: SystemMetrics


class ProcessCpu(TypedDict):
    """Share of one core since the previous sample; in the first since the start."""

    percent: float


class ProcessMemory(TypedDict):
    """Resident and virtual memory."""

    rss: int
    vms: int


class Process(TypedDict):
    """An agent's processes together; `pid` is the main one's, 0 if none runs."""

    pid: int
    cpu: ProcessCpu
    memory: ProcessMemory
    threads: int
    fds: int


class CgroupFigures(TypedDict):
    """What the agent's cgroup has counted; all 0 if it is not `valid`."""

    valid: bool
    cpu_usage_usec: int
    mem_current: int


class LLMFigures(TypedDict):
    """Use of the language model; a budget of 0 is none."""

    tokens: int
    calls: int
    budget: int


class AgentMetrics(TypedDict):
    """One agent. `status` is as in LIST, or `connected` for one that was not spawned.

    `limits` are SPAWN's, in its units; `outstanding` has the syscalls that it waits for, by name.
    """

    agent_id: int
    name: str
    status: str
    uptime_ms: int
    parent_id: int
    restarts: int
    process: Process
    cgroup: CgroupFigures
    syscalls: int
    llm: LLMFigures
    limits: dict[str, int]
    outstanding: dict[str, int]


class MetricsAgentReply(Reply):
    """One agent's metrics; an empty object in an error."""

    metrics: AgentMetrics


class MetricsAllAgentsReply(Reply):
    """Every agent that the caller may see."""

    agents: list[AgentMetrics]
    count: int
    truncated: bool


class CgroupCpu(TypedDict):
    """From cpu.stat and cpu.max; a quota of 0 is none."""

    usage_usec: int
    user_usec: int
    system_usec: int
    nr_periods: int
    nr_throttled: int
    throttled_usec: int
    quota_usec: int
    period_usec: int


class CgroupMemory(TypedDict):
    """From memory.current, memory.peak, memory.max and memory.events; a maximum of 0 is none."""

    current: int
    peak: int
    max: int
    oom_kills: int


class CgroupPids(TypedDict):
    """From pids.current and pids.max; a maximum of 0 is none."""

    current: int
    max: int


class CgroupMetrics(TypedDict):
    """One cgroup (version 2); all 0 where the host has no such controller."""

    valid: bool
    path: str
    cpu: CgroupCpu
    memory: CgroupMemory
    pids: CgroupPids


class MetricsCgroupReply(Reply):
    """A cgroup's metrics; an empty object in an error."""

    metrics: CgroupMetrics
