"""`clove rename`."""

from __future__ import annotations

import click

from clove.cli.agents import act_on_each
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT

__all__ = ["rename"]


@click.command(epilog="\b\nExamples:\n  clove rename web web-old\n  clove rename 17 researcher")
@click.argument("agent", type=AGENT)
@click.argument("new_name", metavar="NAME")
@command_options
def rename(console: Console, agent: str, new_name: str) -> None:
    """Give AGENT another NAME, also one that has ended. The old name is free then."""
    act_on_each(
        console,
        [agent],
        lambda client, each: client.rename(each, new_name),
        lambda _, reply: f"{reply['old_name']} is {reply['name']} now",
    )
