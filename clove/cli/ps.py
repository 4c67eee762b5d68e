"""`clove ps`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from clove.cli.console import Console, command_options
from clove.cli.text import age, clean

__all__ = ["ps"]

COMMAND = 40
"""Characters of a command in the table; --json has more of it."""


@click.command(epilog="\b\nExamples:\n  clove ps\n  clove ps --json | jq '.[].name'")
@command_options
def ps(console: Console) -> None:
    """List the agents: id, name, state, pid, uptime, restarts, parent, and what they run."""
    with console.client() as client:
        agents = client.list_agents()
    if console.as_json:
        console.data(agents)
    elif agents:
        _table(agents)
    else:
        console.remark("no agents")


def _table(agents: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console as Terminal
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("ID", "NAME", "STATE", "PID", "UPTIME", "RESTARTS", "PARENT", "COMMAND"):
        number = title in ("ID", "PID", "RESTARTS", "PARENT")
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    for agent in agents:
        state = str(agent.get("state", ""))
        cells = (
            str(agent.get("id", "")),
            str(agent.get("name", "")),
            state,
            str(agent.get("pid") or "-"),
            age(agent.get("uptime_ms") or 0),
            str(agent.get("restarts", 0)),
            str(agent.get("parent_id") or "-"),
            _short(str(agent.get("command", ""))),
        )
        style = {"running": "", "paused": "yellow", "restarting": "yellow"}.get(state, "dim")
        table.add_row(*(Text(clean(cell), style=style) for cell in cells))
    width = None if sys.stdout.isatty() else 200
    Terminal(file=sys.stdout, width=width, highlight=False).print(table)


def _short(command: str) -> str:
    """As much of a command as a table has room for."""
    return command if len(command) <= COMMAND else f"{command[: COMMAND - 1]}…"
