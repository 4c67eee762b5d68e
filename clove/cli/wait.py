"""`clove wait`."""

from __future__ import annotations

import click

from clove.cli.agents import act_on_each, ending, seconds_option
from clove.cli.console import Console, command_options
from clove.cli.target import AGENT

__all__ = ["wait"]


@click.command(
    epilog="""\b
Examples:
  clove wait researcher
  clove wait --timeout 10m researcher writer
  code=$(clove wait --json build | jq .exit_code)
"""
)
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@seconds_option("--timeout", "Give up on each after so long (30, 10m); exit code 1 then.")
@command_options
def wait(console: Console, agents: tuple[str, ...], timeout: float | None) -> None:
    """Wait until agents have ended for good, and say how each did.

    Exit code 0 once all have ended, however that was: `clove run` and --json
    give an agent's own code.
    """
    act_on_each(
        console,
        agents,
        lambda client, agent: client.wait(agent, timeout=timeout),
        lambda agent, reply: f"{agent}: {ending(reply)}",
    )
