"""`clove kill`."""

from __future__ import annotations

from typing import Any

import click

from clove.cli.agents import act_on_each, seconds_option
from clove.cli.console import Console, command_options
from clove.cli.hints import for_commands
from clove.cli.target import AGENT
from clove.errors import InvalidRequest
from clove.signals import signal_number

__all__ = ["kill"]


def _known_signal(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse one that is none before any agent is looked for."""
    if value is not None:
        try:
            signal_number(value)
        except InvalidRequest as error:
            hint = for_commands(error.hint)
            raise click.BadParameter(f"{error.message}: {hint}", ctx, param) from None
    return value


@click.command(
    epilog="""\b
Examples:
  clove kill researcher
  clove kill researcher writer 17
  clove kill --stop-timeout 60 researcher    a minute to clean up, then SIGKILL
  clove kill --stop-timeout 0 researcher     SIGKILL at once
  clove kill --signal HUP server             a signal to its main program alone
"""
)
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True, type=AGENT)
@click.option(
    "-s",
    "--signal",
    metavar="SIGNAL",
    callback=_known_signal,
    help="Send this signal; don't end the agent.",
)
@seconds_option("--stop-timeout", "Time from SIGTERM to SIGKILL (default: the kernel's, 5 s).")
@command_options
def kill(
    console: Console,
    agents: tuple[str, ...],
    signal: str | None,
    stop_timeout: float | None,
) -> None:
    """End agents, with everything they started. AGENT is a name or an id.

    They get SIGTERM, and SIGKILL after a grace period; none is restarted. With
    --signal the main program gets that signal and nothing else happens: if it
    ends of it, its restart policy decides.
    """
    if signal is not None and stop_timeout is not None:
        raise click.UsageError("--stop-timeout is for ending an agent, --signal does not end it")

    def act(client: Any, agent: str | int) -> dict[str, Any]:
        if signal is not None:
            return dict(client.send_signal(agent, signal))
        return dict(client.kill(agent, grace=stop_timeout))

    def told(agent: str, reply: Any) -> str:
        return f"sent {reply['signal']} to {agent}" if signal is not None else f"killed {agent}"

    act_on_each(console, agents, act, told)
