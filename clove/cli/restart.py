"""`clove restart`."""

from __future__ import annotations

import click

from clove.cli.agents import act_on_each, seconds_option
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT

__all__ = ["restart"]


@click.command(
    epilog="""\b
Examples:
  clove restart server
  clove restart --stop-timeout 0 server    without waiting for it to end by itself
"""
)
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@seconds_option("--stop-timeout", "Time from SIGTERM to SIGKILL (default: the kernel's, 5 s).")
@command_options
def restart(console: Console, agents: tuple[str, ...], stop_timeout: float | None) -> None:
    """End the processes of agents and start them anew.

    Each keeps its id, name, mailbox, private keys and workspace. What has ended
    is not there to be restarted: run it again.
    """
    act_on_each(
        console,
        agents,
        lambda client, agent: client.restart(agent, grace=stop_timeout),
        lambda agent, reply: f"restarted {agent} (pid {reply['pid']})",
    )
