"""`clove agent`."""

from __future__ import annotations

import importlib
from typing import Final

import click

from clove.cli.fleet.relay_options import RELAY_HELP
from clove.cli.groups import LateGroup

__all__ = ["COMMANDS", "LOCAL", "agent"]

COMMANDS: Final = {
    "run": "Run a program on a machine and stream its output.",
    "create": "Start an agent, leave it running, and print its id.",
    "list": "List the agents, with -a the ended ones too.",
    "inspect": "Show all that is known of agents.",
    "logs": "Show an agent's output.",
    "attach": "Take an agent's output from now on, and its terminal.",
    "exec": "Run a program in an agent's sandbox.",
    "cp": "Copy files from or to an agent.",
    "stop": "End agents, or send them a signal.",
}
"""Subcommands and what they do."""
LOCAL: Final = {
    "list": "ps",
    "stop": "kill",
    **{name: name for name in ("inspect", "logs", "attach", "exec", "cp")},
}
"""Those that are commands of this host, asked about a machine, and what they are called here."""


def _find(name: str) -> click.Command:
    """Import a subcommand."""
    if name in LOCAL:
        from clove.cli.fleet.machine_command import on_machine

        module = importlib.import_module(f"clove.cli.{LOCAL[name]}")
        return on_machine(getattr(module, LOCAL[name]), name)
    from clove.cli.fleet.agent_run import create, run_agent

    return run_agent if name == "run" else create


@click.group(
    cls=LateGroup,
    table=COMMANDS,
    find=_find,
    epilog=f"""\b
Examples:
  clove agent run agent.py --machine build-7     its output comes here, and its exit code
  clove agent list --machine build-7
  clove agent logs -f work-1f0c --machine build-7
  clove agent exec --machine build-7 -it work-1f0c sh
  clove agent cp work-1f0c:report.txt . --machine build-7
  clove agent stop work-1f0c --machine build-7

\b
--json goes with each. Other commands about agents take a machine, too: clove --context /build-7 top.
On this machine: clove run, ps, logs, kill.

{RELAY_HELP}""",
)
def agent() -> None:
    """Run, list and stop agents on a machine of a relay."""
