"""The `clove` command: its global options, its subcommands, and how errors end."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from typing import Any, Final

import click

from clove._version import __version__
from clove.cli.console import Console
from clove.cli.groups import LateGroup
from clove.errors import CloveError

__all__ = ["main"]

COMMANDS = {
    "run": "Run a script or program as an agent and stream its output.",
    "workspace": "List and remove what agents were told to keep.",
    "cache": "List and remove what `run --requirements` has built.",
    "profile": "Show and check profiles, options of `run` in a file.",
    "ps": "List the agents, with -a the ended ones too.",
    "attach": "Take an agent's output from now on, and its terminal.",
    "exec": "Run a program in an agent's sandbox.",
    "logs": "Show an agent's output.",
    "kill": "End agents, or send them a signal.",
    "restart": "End agents' processes and start them anew.",
    "pause": "Stop agents until they are resumed.",
    "resume": "Let paused agents go on.",
    "update": "Change the limits of running agents.",
    "rename": "Give an agent another name.",
    "wait": "Wait until agents have ended.",
    "inspect": "Show all that is known of agents.",
    "prune": "Forget ended agents.",
    "ls": "List a directory of an agent.",
    "cat": "Print files of agents.",
    "cp": "Copy files from or to an agent.",
    "rm": "Remove files of agents.",
    "diff": "Show what an agent has made in its workspace.",
    "stats": "Show what agents use.",
    "top": "Watch what agents use, live.",
    "events": "Follow what happens.",
    "audit": "Show what was done, and what was refused.",
    "state": "Read and change the keys that agents share.",
    "llm": "Ask the language model; see what agents use of it.",
    "why": "Say what an agent may do, and try it.",
    "up": "Start the kernel in the background.",
    "down": "End the kernel, and its agents.",
    "tunnel": "Connect this machine's kernel to a relay.",
    "relay": "Run a relay on this machine, and back up what it keeps.",
    "login": "Keep a relay and a token for it.",
    "logout": "Forget a token that login has kept.",
    "config": "Show and change which relay and machine are meant.",
    "status": "Show a fleet in a few lines.",
    "machines": "List and manage the machines of a relay.",
    "agent": "Run, list and stop agents on a machine of a relay.",
    "forward": "Reach a port of an agent on a machine from here.",
    "deploy": "Take machines to a kernel at a relay, and back.",
    "tokens": "Make, list, rotate and revoke the tokens of a relay.",
    "completion": "Make a shell complete these words.",
    "doctor": "Say what this host can isolate.",
}
"""Subcommands and what they do."""
FLEET = ("relay", "login", "logout", "config", "status", "machines", "agent", "forward", "tokens")
MODULES = dict.fromkeys(FLEET, "fleet.") | {"deploy": "deploy."}
"""Where in `clove.cli` a command's module is; the module and its command bear the same name."""

EPILOG = """\b
Examples:
  clove up                       start a kernel in the background
  clove run agent.py -v          run a script in a sandbox; -v is for it
  clove run --dir . -- make      any program, in this directory
  clove ps                       which agents are there?
  clove logs -f agent            follow one's output
  clove kill agent               end it
  clove ps -a                    what ended, how, and at which limit?
  clove top                      what do agents use?
  clove why agent READ /data/x   may it, and what happens when it tries?

The kernel's socket is --socket, else $CLOVE_SOCKET, else that of your own kernel, of root's
(/run/clove/clove.sock), or /tmp/clove.sock. Another user's is not spoken to (CLOVE_TRUST_UID).
'clove COMMAND --help' says more about each."""


class Commands(LateGroup):
    """All of them."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; output that cannot be written is one line and exit code 1, too."""
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _say_full(error)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; an error of Clove's is one line and exit code 1."""
        try:
            return super().invoke(ctx)
        except CloveError as error:
            ctx.find_object(Console).error(error)  # type: ignore[union-attr]
            ctx.exit(1)


_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def _say_full(error: OSError) -> None:
    """Say what could not be written; what is left of our output is dropped, or Python tries again at its end."""
    what = error.filename or "standard output"
    with contextlib.suppress(OSError):
        print(f"clove: {what} cannot be written: {error.strerror}", file=sys.stderr)
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())


def _find(name: str) -> click.Command:
    """Import a subcommand."""
    module = importlib.import_module(f"clove.cli.{MODULES.get(name, '')}{name}")
    command = getattr(module, name)
    assert isinstance(command, click.Command)
    return command


def _contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    """Names of contexts, for a shell to complete."""
    from clove.cli.fleet.config_types import CONTEXT

    return CONTEXT.shell_complete(ctx, param, incomplete)


@click.group(
    cls=Commands,
    table=COMMANDS,
    find=_find,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--socket", metavar="PATH", default=None, help="The kernel's socket.")
@click.option(
    "--context",
    metavar="NAME[/MACHINE]",
    shell_complete=_contexts,
    help="A relay of ~/.clove/config.yaml.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.version_option(__version__, prog_name="clove")
@click.pass_context
def main(ctx: click.Context, socket: str | None, context: str | None, as_json: bool) -> None:
    """Run and watch AI agents on a Clove kernel."""
    ctx.obj = Console(socket, as_json, context)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if as_json and ctx.invoked_subcommand == "doctor":
        ctx.default_map = {"doctor": {"as_json": True}}
