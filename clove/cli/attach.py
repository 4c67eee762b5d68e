"""`clove attach`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import click

from clove.cli.console import Console, command_options
from clove.cli.detach_keys import DEFAULT
from clove.cli.ends import report_end
from clove.cli.target import AGENT, name_or_id
from clove.errors import Unavailable

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["attach"]

EPILOG = """\b
Examples:
  clove attach researcher
  clove attach --detach-keys ctrl-],q researcher

\b
An agent that was started with -t is shown on this terminal: what is typed goes to it.
ctrl-p ctrl-q leaves it running. Of another one the output is shown, from now on, and
none of it is lost; Ctrl-C leaves it running.

\b
Exit code: the agent's own when it has ended; 0 after the keys; 130 after Ctrl-C; 1 if it
cannot be attached to."""


@click.command(epilog=EPILOG)
@click.option(
    "--detach-keys",
    metavar="KEYS",
    default=DEFAULT,
    show_default=True,
    help="Keys that leave it running; '' for none.",
)
@click.argument("agent", type=AGENT)
@command_options
@click.pass_context
def attach(ctx: click.Context, console: Console, agent: str, detach_keys: str) -> None:
    """Take an agent's output from now on, and its terminal."""
    with console.client() as client:
        target = name_or_id(client, agent)
        if sys.stdin.isatty() and sys.stdout.isatty():
            code = _on_terminal(console, client, target, agent, detach_keys)
            if code is not None:
                ctx.exit(code)
        from clove.cli.foreground import Foreground

        reader = Foreground(console, client, target, restarts=False, leaves=True)
        ctx.exit(reader.attend())


def _on_terminal(
    console: Console, client: CloveClient, target: str | int, name: str, keys: str
) -> int | None:
    """Show it on our terminal; None: it runs on none."""
    from clove.cli.shown_agent import ShownAgent

    shown = ShownAgent(console, client, target, name, keys)
    try:
        shown.fit()
    except Unavailable:
        return None
    try:
        return report_end(console, client.wait(target)) if shown.show(anew=True) else 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
