"""`clove ps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from clove.cli.agents import ending
from clove.cli.console import Console, command_options
from clove.cli.published_ports import shown_ports
from clove.cli.tables import STYLES, make_table, print_table, shortened
from clove.cli.text import age

__all__ = ["ps", "shown_parent"]

COMMAND = 60
"""Characters of a command in the table; --json has more of it."""
NUMBERS = ("ID", "PID", "RESTARTS", "PARENT")
SPARE = ("PARENT", "RESTARTS", "PID", "UPTIME", "PORTS")
"""Columns that a narrow terminal does not get."""
FIRST_REMOTE = 1 << 31
"""Ids from here on are those of callers through a relay."""


@click.command(
    epilog="""\b
Examples:
  clove ps                       which agents are there?
  clove ps -a                    and which ended, how, and at which limit?
  clove ps -q                    names alone, for scripts
  clove ps --json | jq .name
"""
)
@click.option("-a", "--all", "ended", is_flag=True, help="Also those that have ended.")
@click.option("-q", "--quiet", is_flag=True, help="Names alone, one a line.")
@command_options
def ps(console: Console, ended: bool, quiet: bool) -> None:
    """List the agents: id, name, state, pid, uptime, restarts, parent, and what they run.

    The kernel knows ended agents for a while (limits.agents.ended), or until
    `clove prune`; --all shows them with exit code, reason, and the limit that was hit.
    A narrow terminal gets no PARENT, RESTARTS, PID, UPTIME and PORTS, in this order; --json has them.
    """
    with console.client() as client:
        agents = client.list_agents(all=True) if ended else client.list_agents()
    if console.as_json:
        console.each(agents)
    elif quiet:
        for agent in agents:
            console.line(str(agent.get("name", "")))
    elif agents:
        _print(agents, ended)
    else:
        console.remark("no agents" if ended else "no agents run (clove ps -a shows ended ones)")


def _print(agents: Sequence[Mapping[str, Any]], ended: bool) -> None:
    titles = ["ID", "NAME", "STATE", "PID", "UPTIME", "RESTARTS", "PARENT", "COMMAND"]
    if ended:
        titles.insert(5, "ENDED")
    rows = [_row(agent, ended) for agent in agents]
    if any(agent.get("published") for agent in agents):
        titles.insert(-1, "PORTS")
        for row, agent in zip(rows, agents, strict=True):
            row.insert(-1, shown_ports(agent.get("published") or ()) or "-")
    styles = [STYLES.get(str(agent.get("state")), "dim") for agent in agents]
    print_table(make_table(titles, rows, numbers=NUMBERS, styles=styles), spare=SPARE)


def shown_parent(parent: int) -> str:
    """Who started it: an agent, somebody's connection here, or one through a relay."""
    return "remote" if parent >= FIRST_REMOTE else str(parent or "-")


def _row(agent: Mapping[str, Any], ended: bool) -> list[str]:
    end = agent.get("ended")
    row = [
        str(agent.get("id", "")),
        str(agent.get("name", "")),
        str(agent.get("state", "")),
        str(agent.get("pid") or "-"),
        age(agent.get("uptime_ms") or 0),
        str(agent.get("restarts", 0)),
        shown_parent(agent.get("parent_id") or 0),
        shortened(str(agent.get("command", "")), COMMAND),
    ]
    if ended:
        row.insert(5, ending(end) if end else "-")
    return row
