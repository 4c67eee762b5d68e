"""`clove top`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console, command_options
from clove.cli.option_types import Choice
from clove.cli.tables import fit_table, print_table
from clove.cli.text import counted, size
from clove.cli.usage import CUT, ORDERS, SPARE, Seen, agents_of, usage_table

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["top"]


@click.command(
    epilog="""\b
Examples:
  clove top
  clove top --interval 5 --sort memory
  clove top --count 1               one look, as in a script
  clove top --json --interval 10    one JSON object for each look

\b
The columns are those of `clove stats`. Ctrl-C ends it."""
)
@click.option(
    "--interval", type=click.FloatRange(min=0.2, max=3600), default=2.0, show_default=True,
    help="Seconds between two looks.",
)  # fmt: skip
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many looks.")
@click.option("--sort", type=Choice(tuple(ORDERS)), default="cpu", help="What goes first.")
@command_options
def top(console: Console, interval: float, count: int | None, sort: str) -> None:
    """Watch what agents use, live."""
    live = sys.stdout.isatty() and not console.as_json
    with console.client() as client:
        try:
            if live:
                _watch(client, interval, count, sort)
            else:
                _print(console, client, interval, count or (None if console.as_json else 1), sort)
        except KeyboardInterrupt:
            return


def _look(client: CloveClient) -> tuple[Mapping[str, Any], Seen]:
    return client.get_system_metrics()["metrics"], agents_of(client)


def _headline(system: Mapping[str, Any], seen: Seen) -> str:
    """The machine, in a line."""
    cpu, memory = system["cpu"], system["memory"]
    running = sum(one["status"] == "running" for one in seen.agents)
    known = len(seen.agents)
    total = f"{known} or more agents" if seen.truncated else counted(known, "agent")
    return (
        f"{running} of {total} {'runs' if running == 1 else 'run'}   CPU {cpu['percent']:.0f}% of {cpu['count']}"
        f"   load {cpu['load_avg'][0]:.2f}"
        f"   memory {size(memory['used'])} of {size(memory['total'])}"
    )


def _watch(client: CloveClient, interval: float, count: int | None, sort: str) -> None:
    """On a terminal: one screen, renewed until Ctrl-C."""
    from rich.console import Console as Terminal
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    looks = 0
    with Live(console=Terminal(highlight=False), screen=True, auto_refresh=False) as screen:
        while True:
            system, seen = _look(client)
            headline = Text(_headline(system, seen), style="bold")
            table = usage_table(seen.agents, sort)
            fit_table(table, screen.console.width, spare=SPARE)
            screen.update(Group(headline, Text(""), table), refresh=True)
            looks += 1
            if looks == count:
                return
            time.sleep(interval)


def _print(
    console: Console, client: CloveClient, interval: float, count: int | None, sort: str
) -> None:
    """Into a pipe or a file: one look after the other."""
    looks = 0
    while True:
        system, seen = _look(client)
        if console.as_json:
            cut = {"truncated": True} if seen.truncated else {}
            console.data({"system": system, "agents": sorted(seen.agents, key=ORDERS[sort]), **cut})
        else:
            console.line(_headline(system, seen))
            print_table(usage_table(seen.agents, sort), spare=SPARE)
            if seen.truncated:
                console.remark(CUT)
        looks += 1
        if looks == count:
            return
        time.sleep(interval)
