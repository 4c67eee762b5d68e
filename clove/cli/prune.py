"""`clove prune`."""

from __future__ import annotations

import sys

import click

from clove.cli.agents import act_on_each, seconds_option
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT
from clove.cli.text import counted

__all__ = ["prune"]


@click.command(
    epilog="""\b
Examples:
  clove prune                     asks first, on a terminal
  clove prune --force --older-than 1d
  clove prune researcher          this one alone
"""
)
@click.argument("agents", metavar="[AGENT]...", nargs=-1, type=AGENT)
@seconds_option("--older-than", "Only what ended so long ago (30, 10m, 1d).")
@click.option("-f", "--force", is_flag=True, help="Don't ask.")
@command_options
def prune(
    console: Console,
    agents: tuple[str, ...],
    older_than: float | None,
    force: bool,
) -> None:
    """Forget ended agents, with their output that the kernel holds. Live ones stay.

    Their log files in the state directory go when there is no more room for them.
    """
    if agents:
        if older_than is not None:
            raise click.UsageError("--older-than is for all ended agents, not for named ones")
        act_on_each(
            console,
            agents,
            lambda client, agent: client.prune(agent),
            lambda agent, _: f"forgot {agent}",
        )
        return
    if sys.stdin.isatty() and not force and not console.as_json:
        click.confirm("Forget all ended agents?", abort=True, err=True)
    with console.client() as client:
        reply = client.prune(older_than=older_than or 0)
    if console.as_json:
        console.data(reply)
    else:
        count = reply["count"]
        console.line(f"forgot {counted(count, 'ended agent')}")
