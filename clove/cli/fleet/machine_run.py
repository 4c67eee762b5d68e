"""One start of an agent on a machine: what is sent, and how its streams are ours."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from clove.cli.fleet.deployment import Deployment, deployment_of, refuse_local
from clove.cli.progress import telling_of
from clove.cli.run import run, run_words
from clove.cli.standard_input import is_stream
from clove.cli.text import size
from clove.errors import CloveError, ConnectionLost

if TYPE_CHECKING:
    from clove.cli.console import Console
    from clove.cli.fleet.context import Context
    from clove.cli.fleet.machine_client import MachineClient
    from clove.cli.run_words import RunWords
    from clove.client.fleet import FleetClient

__all__ = ["MachineRun", "run_detached", "run_on"]


class MachineRun:
    """One call of the command.

    @ivar asked: the options of `clove run`; those of a profile among them.
    """

    def __init__(
        self,
        ctx: click.Context,
        console: Console,
        context: Context,
        asked: dict[str, Any],
        key: str = "",
    ) -> None:
        """@raise click.UsageError, CloveError: it cannot be asked so."""
        self.ctx, self.console, self.context, self.key = ctx, console, context, key
        self.words: RunWords = run_words(ctx)
        self.asked = _with_profile(asked)
        refuse_local(self.asked)
        self.fleet: FleetClient = context.fleet()

    def deployment(self, **extra: Any) -> Deployment:
        """Read what is to be sent."""
        if self.asked["detach"] and self.asked["forget"]:
            extra["forget"] = True
        return deployment_of(self.words, self.asked, self.key, extra)

    def start(self, deployment: Deployment, machine: str, *, attach: bool) -> dict[str, Any]:
        """Start it on one machine; a terminal is told where that takes long."""
        from clove.cli.fleet.near_machine import near_machine

        sent = f"sending {size(deployment.size)} to {machine}" if deployment.size else ""
        what = sent or f"starting it on {machine}"
        with telling_of(self.console, what), near_machine(self.fleet, machine):
            return deployment.start(self.fleet, machine, attach=attach)

    def client(self) -> MachineClient:
        """Of the machine's kernel."""
        from clove.cli.fleet.machine_client import MachineClient

        return MachineClient(self.context, told=self.console.remark_anywhere)


def run_on(started: MachineRun, machine: str) -> int:
    """Start it and have its streams, unless it is to be left; gives the exit code for us."""
    if not started.asked["detach"]:
        return _in_foreground(started, machine)
    made = run_detached(started, machine)
    if not started.console.as_json:
        started.console.line(f"{made['agent_name']} runs as agent {made['agent_id']} on {machine}")
    return 0


def run_detached(started: MachineRun, machine: str) -> dict[str, Any]:
    """Start it and leave it; programs are told all that the relay says of it."""
    made = started.start(started.deployment(**_terminal(started)), machine, attach=False)
    if started.console.as_json:
        started.console.data(made)
    return made


def _with_profile(asked: dict[str, Any]) -> dict[str, Any]:
    """The options with those of the profile that is asked for, but that limits may go unenforced: the command
    line alone says that.
    """
    chosen = asked.pop("profile")
    if chosen is None:
        return asked
    from clove.cli.profile_files import load_profile, merged

    return {**merged(load_profile(chosen, run).options, asked), "degrade": asked["degrade"]}


# in the foreground


def _terminal(started: MachineRun) -> dict[str, Any]:
    """Fields of one that has a terminal.

    @raise click.UsageError: we have none.
    """
    if not started.asked["tty"]:
        return {}
    from clove.cli.shown_agent import terminal_environment, terminal_size

    ours = sys.stdin.isatty() and sys.stdout.isatty()
    if not (ours or started.asked["detach"]):
        raise click.UsageError("-t needs a terminal, and standard input or output is none")
    known = tuple(terminal_environment().items())
    started.asked["env"] = (*known, *started.asked["env"])
    return {"tty": terminal_size() if ours else {"rows": 24}}


def _in_foreground(started: MachineRun, machine: str) -> int:
    tty = _terminal(started)
    if tty:
        with started.client() as client:
            made = started.start(started.deployment(**tty), machine, attach=True)
            return _finish(started, made, _show(started, client, made))
    if _is_typed(started):
        with contextlib.ExitStack() as stack:
            try:
                client = stack.enter_context(started.client())
            except ConnectionLost as error:
                if started.asked["interactive"]:
                    raise
                started.console.remark(f"it does not get our standard input: {error.message}")
            else:
                made = started.start(started.deployment(stdin="stream"), machine, attach=True)
                return _finish(started, made, _attend(started, client, made))
    from clove.cli.fleet.deployed import Deployed

    made = started.start(started.deployment(), machine, attach=True)
    return _finish(started, made, Deployed(started.console, started.fleet, made).attend())


def _is_typed(started: MachineRun) -> bool:
    """It reads our standard input: where that is asked for, or a pipe or file is there for it, as with `clove run`."""
    asked = started.asked
    if asked["interactive"]:
        return True
    plain = asked["level"] not in ("readonly", "minimal") and asked["restart"] in (None, "never")
    return plain and is_stream()


def _show(started: MachineRun, client: MachineClient, made: dict[str, Any]) -> int:
    from clove.cli.ends import report_end
    from clove.cli.shown_agent import ShownAgent

    number, keys = made["agent_id"], started.asked["detach_keys"]
    shown = ShownAgent(started.console, client, number, made["agent_name"], keys)
    try:
        return report_end(started.console, client.wait(number)) if shown.show() else 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _attend(started: MachineRun, client: MachineClient, made: dict[str, Any]) -> int:
    from clove.cli.fleet.deployed import announce
    from clove.cli.foreground import Foreground

    announce(started.console, made)
    number = made["agent_id"]
    again = f"clove agent logs -f {number} --machine {made['machine_id']}"
    return Foreground(
        started.console, client, number, restarts=False, typed=True, again=again
    ).attend()


def _finish(started: MachineRun, made: dict[str, Any], code: int) -> int:
    """Forget it, if that was asked for and it has ended."""
    if started.asked["forget"] and code != 128 + signal.SIGINT:
        with contextlib.suppress(CloveError), started.client() as client:
            client.prune(agent_id=made["agent_id"])
    return code
