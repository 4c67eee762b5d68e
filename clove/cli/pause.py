"""`clove pause`."""

from __future__ import annotations

import click

from clove.cli.agents import act_on_each
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT

__all__ = ["pause"]


@click.command(epilog="\b\nExamples:\n  clove pause researcher\n  clove pause researcher writer")
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@command_options
def pause(console: Console, agents: tuple[str, ...]) -> None:
    """Stop all processes of agents until they are resumed.

    They keep their memory and use no processor; what is sent to them waits.
    """
    act_on_each(
        console,
        agents,
        lambda client, agent: client.pause(agent),
        lambda agent, reply: f"paused {agent}",
    )
