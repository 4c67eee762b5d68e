"""`clove resume`."""

from __future__ import annotations

import click

from clove.cli.agents import act_on_each
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT

__all__ = ["resume"]


@click.command(epilog="\b\nExamples:\n  clove resume researcher\n  clove resume researcher writer")
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@command_options
def resume(console: Console, agents: tuple[str, ...]) -> None:
    """Let paused agents go on."""
    act_on_each(
        console,
        agents,
        lambda client, agent: client.resume(agent),
        lambda agent, reply: f"resumed {agent}",
    )
