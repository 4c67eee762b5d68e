"""`clove agent run` and `create`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from clove.cli.console import Console
from clove.cli.fleet.machine_command import machine_options
from clove.cli.fleet.machine_run import MachineRun, run_detached, run_on
from clove.cli.fleet.relay_options import label_option
from clove.cli.run import RunCommand
from clove.cli.run_options import run_options

__all__ = ["AGENT_LABEL", "create", "run_agent", "run_on_machine"]

AGENT_LABEL: Final = "--agent-label"
"""What `--label` of `clove run` is here, where that says which machines."""
EPILOG: Final = """\b
Examples:
  clove agent run agent.py --machine build-7
  clove agent run --machine build-7 agent.py -v      -v goes to the script
  clove agent run --machine build-7 -- uname -a      any program that is there
  clove agent run --machine build-7 --dir . -- make test
  clove agent run --machine build-7 --requirements requirements.txt agent.py
  clove agent run --machine build-7 -it -- bash      on a terminal, which is ours
  clove agent run --label env=prod agent.py          on all with this label: a line for each

\b
A script is sent alone; with --dir that directory is sent, without .git, .venv and the like, and it
starts in it: what it makes there is not sent back (clove agent cp). Options that are about this
host are refused, with what to do instead.

\b
Ctrl-C asks it to end (SIGTERM) and shows what it still writes; a second one leaves it to that.
Exit code: the program's own; 128 + n if signal n ended it; 1 if it could not be started."""


class AgentRunCommand(RunCommand):
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


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Those of `clove run`, with the machines."""
    function = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(
        function
    )
    function = click.option(
        "--key", default="", help="A repeated call with this key starts nothing twice."
    )(run_options(function))
    function = click.option("--all", "every", is_flag=True, help="On all of the token's.")(function)
    return label_option("On all with this label, and left to run; may be repeated.")(function)


def _machine_labels(command: click.Command) -> click.Command:
    """Tell `--label` of machines from that of agents; add which machine is meant."""
    ours, theirs = [one for one in command.params if "--label" in one.opts]
    assert ours.name == theirs.name == "labels"
    ours.name = "machine_labels"
    theirs.opts = [AGENT_LABEL]
    command.params += machine_options()
    return command


@click.command("run", cls=AgentRunCommand, epilog=EPILOG)
@_options
@click.pass_context
def run_agent(ctx: click.Context, /, **given: Any) -> None:
    """Run a program as a sandboxed agent on a machine; its output and its exit code are ours.

    With --label or --all it is started on each of these machines and left to run.
    """
    labels, every, named = given.pop("machine_labels"), given.pop("every"), given["machine"]
    started = _prepared(ctx, given)
    if labels or every or started.context.machine is None:
        ctx.exit(0 if _on_all(started, (named,) if named else (), labels, every) else 1)
    ctx.exit(run_on(started, started.context.machine))


def run_on_machine(ctx: click.Context, console: Console, asked: dict[str, Any]) -> int:
    """`clove run` where a context says that a machine is meant; gives the exit code for us.

    @param asked: its options.
    """
    context = console.machine()
    assert context is not None
    assert context.machine is not None
    return run_on(MachineRun(ctx, console, context, asked), context.machine)


@click.command(
    "create",
    cls=AgentRunCommand,
    epilog="""\b
Examples:
  id=$(clove agent create agent.py --machine build-7)
  clove agent logs -f $id --machine build-7

\b
A kernel has no agents that are there and do not run: it is started at once, as by
`clove agent run --detach`, which has the same options.""",
)
@_options
@click.pass_context
def create(ctx: click.Context, /, **given: Any) -> None:
    """Start an agent on a machine, leave it running, and print its id alone."""
    if given.pop("machine_labels") or given.pop("every"):
        raise click.UsageError("an agent is made on one machine: name --machine alone", ctx)
    given["detach"] = True
    started = _prepared(ctx, given)
    machine = started.context.machine
    if machine is None:
        raise click.UsageError("an agent is made on one machine: name --machine", ctx)
    made = run_detached(started, machine)
    if not started.console.as_json:
        started.console.line(str(made["agent_id"]))


_machine_labels(run_agent)
_machine_labels(create)


def _prepared(ctx: click.Context, given: dict[str, Any]) -> MachineRun:
    """Take the options apart.

    @raise click.UsageError, CloveError: it cannot be asked so.
    """
    from clove.cli.fleet.context import chosen_context

    console = ctx.find_object(Console)
    assert console is not None
    console.as_json = console.as_json or given.pop("as_json")
    named = {each.name: given.pop(str(each.name)) for each in machine_options()}
    context = named.pop("context") or console.context
    return MachineRun(ctx, console, chosen_context(context, **named), given, given.pop("key"))


def _on_all(
    started: MachineRun, chosen: tuple[str, ...], labels: dict[str, str], every: bool
) -> bool:
    from clove.cli.fleet.on_all import start_on_all

    if started.asked["tty"] or started.asked["interactive"]:
        raise click.UsageError("-i and -t are for one machine: name --machine alone")
    if not (chosen or labels or every):
        raise click.UsageError(
            "which machine? Name --machine, --label or --all; `clove machines list` shows them"
        )
    deployment = started.deployment()
    return start_on_all(started.console, started.fleet, deployment, chosen, labels, every)
