"""What agents use, as rows of a table: for `clove stats`, `top` and `llm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from clove.cli.tables import STYLES, make_table
from clove.cli.text import age, size

if TYPE_CHECKING:
    from rich.table import Table

    from clove.client.blocking import CloveClient

__all__ = ["CUT", "SPARE", "TITLES", "Seen", "agents_of", "memory_of", "usage_table"]

TITLES: Final = (
    "ID", "NAME", "STATE", "CPU%", "MEMORY", "LIMIT", "THREADS", "UPTIME", "SYSCALLS", "CALLS",
    "TOKENS", "WAITING",
)  # fmt: skip
NUMBERS: Final = tuple(title for title in TITLES if title not in ("NAME", "STATE", "WAITING"))
SPARE: Final = ("THREADS", "UPTIME", "LIMIT", "SYSCALLS", "CALLS")
"""Columns that a narrow terminal does not get, the first of them first."""
ORDERS: Final = {
    "id": lambda one: one["agent_id"],
    "name": lambda one: one["name"],
    "cpu": lambda one: -one["process"]["cpu"]["percent"],
    "memory": lambda one: -memory_of(one),
    "syscalls": lambda one: -one["syscalls"],
    "tokens": lambda one: -one["llm"]["tokens"],
}


CUT: Final = (
    "there are more agents than the kernel looks at: name those that are meant to `clove inspect`"
)


class Seen(NamedTuple):
    """The metrics of the agents that we may see.

    @ivar truncated: there are more of them.
    """

    agents: Sequence[Mapping[str, Any]]
    truncated: bool


def agents_of(client: CloveClient, *, connections: bool = False) -> Seen:
    """Ask for the metrics of all agents.

    @param connections: also those of connections that no agent has, ours among them.
    """
    reply = client.get_all_agent_metrics()
    shown = [one for one in reply["agents"] if connections or one["status"] != "connected"]
    return Seen(shown, reply["truncated"])


def memory_of(agent: Mapping[str, Any]) -> int:
    """Bytes of memory: what its cgroup counts, else what its processes have resident.

    A cgroup without the memory controller counts none.
    """
    return int(agent["cgroup"]["mem_current"] or agent["process"]["memory"]["rss"])


def usage_table(agents: Sequence[Mapping[str, Any]], order: str = "id") -> Table:
    """A table of what each uses.

    @param order: a key of L{ORDERS}.
    """
    listed = sorted(agents, key=ORDERS[order])
    styles = [STYLES.get(str(one["status"]), "dim") for one in listed]
    return make_table(TITLES, map(_row, listed), numbers=NUMBERS, styles=styles)


def _row(agent: Mapping[str, Any]) -> tuple[str, ...]:
    process, limits = agent["process"], agent.get("limits") or {}
    return (
        str(agent["agent_id"]),
        str(agent["name"]) or "-",
        str(agent["status"]),
        f"{process['cpu']['percent']:.1f}",
        size(memory_of(agent)),
        size(limits["memory"]) if limits.get("memory") else "-",
        str(process["threads"]),
        age(agent["uptime_ms"]),
        str(agent["syscalls"]),
        str(agent["llm"]["calls"]),
        str(agent["llm"]["tokens"]),
        _waiting(agent.get("outstanding") or {}),
    )


def _waiting(outstanding: Mapping[str, int]) -> str:
    """The syscalls that it waits for: `RECV`, `THINK x3, EXEC`."""
    texts = [name if count == 1 else f"{name} x{count}" for name, count in outstanding.items()]
    return ", ".join(sorted(texts)) or "-"
