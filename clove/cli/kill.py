"""`clove kill`."""

from __future__ import annotations

import click

from clove.cli.console import Console, command_options
from clove.cli.target import AGENT, name_or_id
from clove.errors import CloveError

__all__ = ["kill"]


@click.command(epilog="\b\nExamples:\n  clove kill researcher\n  clove kill researcher writer 17")
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@command_options
@click.pass_context
def kill(ctx: click.Context, console: Console, agents: tuple[str, ...]) -> None:
    """End agents, with everything they started. AGENT is a name or an id.

    They get SIGTERM, and SIGKILL after a grace period; none is restarted.
    """
    failed = False
    with console.client() as client:
        for agent in agents:
            try:
                reply = client.kill(name_or_id(client, agent))
            except CloveError as error:
                console.error(error)
                failed = True
                continue
            if console.as_json:
                console.data(reply)
            else:
                console.line(f"killed {agent}")
    if failed:
        ctx.exit(1)
