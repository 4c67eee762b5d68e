"""`clove agent`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console
from clove.cli.fleet.agent_options import SCRIPT_CONTEXT, Deployment, deploy_options
from clove.cli.fleet.deployed import Deployed, show_event
from clove.cli.fleet.on_all import start_on_all
from clove.cli.fleet.relay_options import RELAY_HELP, label_option, relay_options
from clove.cli.groups import NearGroup
from clove.cli.tables import STYLES, make_table, print_table
from clove.errors import CloveError, NotFound

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["agent"]

MACHINE = click.option("--machine", metavar="MACHINE", required=True, help="Where it runs.")


@click.group(
    cls=NearGroup,
    epilog=f"""\b
Examples:
  clove agent run agent.py --machine build-7     its output comes here, and its exit code
  clove agent list --machine build-7
  clove agent logs -f work-1f0c --machine build-7
  clove agent stop work-1f0c --machine build-7

--json goes with each. On this machine: clove run, ps, logs, kill.

{RELAY_HELP}""",
)
def agent() -> None:
    """Run, list and stop agents on a machine of a relay."""


class _MachineAnywhere(click.Command):
    """Takes `--machine` behind the script, too; all else that stands there is the script's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        if "--machine" not in args and not any(each.startswith("--machine=") for each in args):
            return super().parse_args(ctx, args)
        at = next(at for at, each in enumerate(args) if each.partition("=")[0] == "--machine")
        width = 1 if "=" in args[at] else 2
        if "--" not in args[:at]:
            args = [*args[at : at + width], *args[:at], *args[at + width :]]
        return super().parse_args(ctx, args)


@agent.command(
    "run",
    cls=_MachineAnywhere,
    context_settings=SCRIPT_CONTEXT,
    epilog="""\b
Examples:
  clove agent run agent.py --machine build-7
  clove agent run --machine build-7 agent.py -v      -v goes to the script
  clove agent run --machine build-7 --dir . -- make test
  clove agent run --label env=prod agent.py          on all with this label: a line for each
  clove agent run --machine build-7 --dir . --requirements requirements.txt main.py

Ctrl-C ends the agent and waits for that; a second one does not wait.""",
)
@click.option("--machine", metavar="MACHINE", help="Where it runs.")
@label_option("On all with this label, and left to run; may be repeated.")
@click.option("--all", "every", is_flag=True, help="On all of the token's, and left to run.")
@deploy_options
@relay_options
@click.pass_context
def run_agent(
    ctx: click.Context,
    /,
    console: Console,
    fleet: FleetClient,
    machine: str | None,
    labels: dict[str, str],
    every: bool,
    detach: bool,
    **given: Any,
) -> None:
    """Run a script as a sandboxed agent; its output and its exit code are ours."""
    deployment = Deployment(**given)
    if machine is None or labels or every:
        chosen = (machine,) if machine else ()
        ctx.exit(0 if start_on_all(console, fleet, deployment, chosen, labels, every) else 1)
    made = deployment.start(fleet, machine, attach=not detach)
    if not detach:
        ctx.exit(Deployed(console, fleet, made).attend())
    if console.as_json:
        console.data(made)
    else:
        console.line(f"{made['agent_id']} {made['agent_name']}")


@agent.command("list", epilog="\b\nExamples:\n  clove agent list --machine build-7 --all")
@MACHINE
@click.option("-a", "--all", "ended", is_flag=True, help="Those that have ended, too.")
@relay_options
def list_agents(console: Console, fleet: FleetClient, machine: str, ended: bool) -> None:
    """List the agents on a machine that the token's bearer may see."""
    found = fleet.machine_agents(machine, all=ended)
    if console.as_json:
        for each in found:
            console.data(each)
        return
    rows = [(str(each["id"]), each["name"], each.get("state", "")) for each in found]
    styles = [STYLES.get(state, "dim") for _, _, state in rows]
    print_table(make_table(("ID", "NAME", "STATE"), rows, styles=styles, numbers=("ID",)))


@agent.command(
    "stop", epilog="\b\nExamples:\n  clove agent stop work-1f0c work-9a3b --machine build-7"
)
@click.argument("agents", metavar="AGENT...", nargs=-1, required=True)
@MACHINE
@relay_options
@click.pass_context
def stop_agents(
    ctx: click.Context,
    /,
    console: Console,
    fleet: FleetClient,
    agents: tuple[str, ...],
    machine: str,
) -> None:
    """End agents on a machine."""
    good = True
    for each in agents:
        try:
            stopped = fleet.stop_agent(machine, _agent_id(fleet, machine, each))
        except CloveError as error:
            good = False
            console.error(error)
        else:
            if console.as_json:
                console.data(stopped)
            else:
                console.line(f"stopped {each}")
    ctx.exit(0 if good else 1)


@agent.command("logs", epilog="\b\nExamples:\n  clove agent logs -f work-1f0c --machine build-7")
@click.argument("name", metavar="AGENT")
@MACHINE
@click.option("-f", "--follow", is_flag=True, help="Go on until it has ended.")
@relay_options
def agent_logs(console: Console, fleet: FleetClient, name: str, machine: str, follow: bool) -> None:
    """Show an agent's output."""
    agent_id = _agent_id(fleet, machine, name)
    if follow:
        try:
            for kind, fields in fleet.follow_logs(machine, agent_id):
                show_event(console, kind, fields)
        except KeyboardInterrupt:
            return
        return
    since = 0
    while True:
        page = fleet.logs(machine, agent_id, since=since)
        if page["lost"]:
            show_event(console, "lost", {"lines": page["lost"]})
        for line in page["lines"]:
            show_event(console, "line", line)
        if not page["lines"] or page["next"] == since:
            return
        since = page["next"]


def _agent_id(fleet: FleetClient, machine: str, name: str) -> int:
    """The agent that has this name, or this id; of several that had the name the newest.

    @raise NotFound: there is none.
    """
    found = [each["id"] for each in fleet.machine_agents(machine, all=True) if each["name"] == name]
    if found:
        return int(max(found))
    if name.isascii() and name.isdecimal():
        return int(name[:18])
    raise NotFound(
        f"no agent {name!r} on {machine}", hint=f"clove agent list --machine {machine} -a"
    )
