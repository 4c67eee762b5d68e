"""Metrics as Prometheus reads them (exposition formats, text version 0.0.4). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from clove.messages.metrics import AgentMetrics, SystemMetrics

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(
    system: SystemMetrics,
    agents: list[AgentMetrics],
    clients: int,
    truncated: bool,
    traffic: tuple[int, int, int] = (0, 0, 0),
) -> bytes:
    """The whole text.

    Only spawned agents have series of their own. Connections from outside get
    a new id each and would make new series for ever, so they are counted only.

    @param clients: connected principals that were not spawned.
    @param truncated: whether some agents were left out.
    @param traffic: what the kernel carries for sandboxed agents: connections
        now, bytes sent and received by those that have ended.
    """
    kernel = _kernel(agents, clients, truncated)
    families = [*_system(system), *kernel, *_traffic(*traffic), *_agents(agents)]
    return "".join(families).encode()


def _family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {about}\n# TYPE {name} {kind}\n"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}\n" if inside else f"{name} {value}\n")
    return "".join(lines)


def _single(name: str, kind: str, about: str, value: float) -> str:
    return _family(name, kind, about, [({}, value)])


def _system(system: SystemMetrics) -> list[str]:
    memory, disk, network = system.memory, system.disk, system.network
    return [
        _single("clove_reactor_busy_turns_total", "counter", "Too busy.", system.reactor.busy),
        _single("clove_reactor_held_up_turns_total", "counter", "Held up.", system.reactor.held_up),
        _single("clove_reactor_longest_turn_seconds", "gauge", "Busy.", system.reactor.longest),
        _single("clove_host_cpu_percent", "gauge", "Processors busy.", system.cpu.percent),
        _family(
            "clove_host_load",
            "gauge",
            "Load average.",
            (
                ({"minutes": minutes}, load)
                for minutes, load in zip(("1", "5", "15"), system.cpu.load_avg, strict=True)
            ),
        ),
        _single("clove_host_memory_bytes", "gauge", "Main memory.", memory.total),
        _single("clove_host_memory_available_bytes", "gauge", "Not in use.", memory.available),
        _single("clove_host_disk_read_bytes_total", "counter", "Disks.", disk.read_bytes),
        _single("clove_host_disk_written_bytes_total", "counter", "Disks.", disk.write_bytes),
        _single("clove_host_network_sent_bytes_total", "counter", "Network.", network.bytes_sent),
        _single(
            "clove_host_network_received_bytes_total", "counter", "Network.", network.bytes_recv
        ),
    ]


def _kernel(agents: list[AgentMetrics], clients: int, truncated: bool) -> list[str]:
    states = Counter(agent.status for agent in agents)
    return [
        _family(
            "clove_agents",
            "gauge",
            "Spawned agents by state.",
            (({"state": state}, count) for state, count in sorted(states.items())),
        ),
        _single("clove_clients", "gauge", "Connected clients that were not spawned.", clients),
        _single("clove_agents_left_out", "gauge", "1: not all agents are here.", int(truncated)),
    ]


def _traffic(connections: int, sent: int, received: int) -> list[str]:
    about = "By connections of sandboxed agents that have ended."
    return [
        _single("clove_egress_connections", "gauge", "Of sandboxed agents.", connections),
        _single("clove_egress_sent_bytes_total", "counter", about, sent),
        _single("clove_egress_received_bytes_total", "counter", about, received),
    ]


def _agents(agents: list[AgentMetrics]) -> list[str]:
    rows = [({"agent_id": str(agent.agent_id), "name": agent.name}, agent) for agent in agents]

    def family(name: str, kind: str, about: str, values: Iterable[float]) -> str:
        samples = ((labels, value) for (labels, _), value in zip(rows, values, strict=True))
        return _family(f"clove_agent_{name}", kind, about, samples)

    return [
        family("uptime_seconds", "gauge", "Since the start.", (a.uptime_ms / 1000 for a in agents)),
        family("restarts_total", "counter", "Restarts.", (a.restarts for a in agents)),
        family("cpu_percent", "gauge", "Of one core.", (a.process.cpu.percent for a in agents)),
        family("resident_bytes", "gauge", "Memory.", (a.process.memory.rss for a in agents)),
        family("threads", "gauge", "Threads.", (a.process.threads for a in agents)),
        family("fds", "gauge", "Open descriptors.", (a.process.fds for a in agents)),
        family("syscalls_total", "counter", "Calls to the kernel.", (a.syscalls for a in agents)),
        family("llm_tokens_total", "counter", "Tokens.", (a.llm.tokens for a in agents)),
        family("llm_calls_total", "counter", "Model calls.", (a.llm.calls for a in agents)),
    ]
