"""`clove exec`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console, command_options
from clove.cli.detach_keys import DetachKeys
from clove.cli.option_types import Parsed, variable
from clove.cli.program_command import ProgramCommand
from clove.cli.sinks import Sink, copy, copy_input, sinks
from clove.cli.target import AGENT, name_or_id
from clove.errors import ConnectionLost, NotFound, TimedOut

if TYPE_CHECKING:
    from clove.client.attached import Attached
    from clove.client.blocking import CloveClient
    from clove.client.results import RunReply

__all__ = ["exec"]

_LAST_OUTPUT = 1.0
"""Seconds in which output that has come is shown after the connection was lost."""
EPILOG = """\b
Examples:
  clove exec researcher ls -l            what is in its workspace?
  clove exec -it researcher sh           look around, on a terminal
  clove exec -i db psql < dump.sql       what stands here is the program's input
  clove exec -e DEBUG=1 web -- ./check --all    with or without the --

\b
The program runs in the agent's sandbox, as the agent's user, beside what runs
there. Ctrl-C without -t, and the end of this command, end it.

\b
Exit code: the program's own; 128 + n if signal n ended it; 1 if it could not be
started; 2 if the command line is wrong."""


@click.command(
    cls=ProgramCommand, epilog=EPILOG, context_settings={"allow_interspersed_args": False}
)
@click.option("-i", "--interactive", is_flag=True, help="Its input is ours.")
@click.option("-t", "--tty", is_flag=True, help="It runs on a terminal, which is ours.")
@click.option("-w", "--cwd", metavar="DIRECTORY", help="Where it starts, as the agent sees it.")
@click.option(
    "-e",
    "--env",
    type=Parsed("name[=value]", variable),
    multiple=True,
    help="Set a variable; with the name alone, to what it is here. Repeatable.",
)
@click.argument("agent", type=AGENT)
@click.argument("command", metavar="[--] PROGRAM [ARGS]...", nargs=-1, required=True)
@command_options
@click.pass_context
def exec(ctx: click.Context, /, console: Console, agent: str, **asked: Any) -> None:
    """Run a program in an agent's sandbox."""
    if asked["command"][0] == "--":  # what docker, kubectl and `clove run` have there
        asked["command"] = asked["command"][1:]
    if not asked["command"]:
        raise click.UsageError("which program? clove exec AGENT -- PROGRAM ARGS")
    if asked["tty"] and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("-t needs a terminal, and standard input or output is none")
    with console.client() as client:
        target = name_or_id(client, agent)
        run = _on_terminal if asked["tty"] else _on_pipes
        try:
            ended = run(console, client, target, asked)
        except KeyboardInterrupt:
            ctx.exit(128 + signal.SIGINT)
    if ended["reason"]:
        console.remark(f"the program was ended: {ended['reason']}")
    ctx.exit(ended["exit_code"] & 0xFF)


def _options(asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"env": dict(asked["env"]), **more}
    if asked["cwd"]:
        options["cwd"] = asked["cwd"]
    return options


def _on_terminal(
    console: Console, client: CloveClient, agent: str | int, asked: dict[str, Any]
) -> RunReply:
    """On a terminal of the sandbox, which is shown on ours."""
    from clove.cli.raw_terminal import RawTerminal
    from clove.cli.shown_agent import terminal_environment, terminal_size

    options = _options(asked, tty=terminal_size())
    options["env"] = {**terminal_environment(), **options["env"]}
    with client.run(agent, asked["command"], **options) as attached:
        number = attached.first["command"]

        def resize(rows: int, columns: int) -> None:
            with contextlib.suppress(
                NotFound, TimedOut, ConnectionLost
            ):  # it may have ended already
                client.resize_terminal(rows, columns, agent, command=number)

        ends, leaving = attached.descriptors, DetachKeys(b"", lambda: client.is_down)
        RawTerminal().relay(ends["stdout"], ends["stdin"], leaving, resize)
        if leaving.pressed:
            raise KeyboardInterrupt
        for name in ("stdin", "stdout", "stderr"):
            attached.close_stream(name)
        return attached.finish()


def _on_pipes(
    console: Console, client: CloveClient, agent: str | int, asked: dict[str, Any]
) -> RunReply:
    """With our own standard streams, as far as it is to have them."""
    stdin = "stream" if asked["interactive"] else "closed"
    with client.run(agent, asked["command"], **_options(asked, stdin=stdin)) as attached:
        lost: list[str] = []

        def unreadable(error: OSError) -> None:
            lost.append(f"standard input cannot be read: {error.strerror}")

        if "stdin" in attached.descriptors:
            threading.Thread(target=copy_input, args=(attached, unreadable), daemon=True).start()
        copying = [
            threading.Thread(target=_copy, args=(attached, name, sink, lost), daemon=True)
            for name, sink in sinks(console).items()
        ]
        for thread in copying:
            thread.start()
        try:
            ended = attached.finish()
        except ConnectionLost:
            _join(copying, _LAST_OUTPUT)
            raise
        _join(copying, None)
        for text in lost:
            console.remark(text)
        return {**ended, "exit_code": ended["exit_code"] or 1} if lost else ended


def _join(threads: list[threading.Thread], patience: float | None) -> None:
    for thread in threads:
        thread.join(patience)


def _copy(attached: Attached[RunReply], name: str, sink: Sink, lost: list[str]) -> None:
    """Copy one stream from its pipe; where nothing reads it here, the program is told so by SIGPIPE.

    @param lost: gets why it could not be written, where there is a reader.
    """
    try:
        copy(attached.descriptors[name], sink)
    except BrokenPipeError:
        pass
    except OSError as error:
        lost.append(f"the program's {name} cannot be written: {error.strerror}")
    finally:
        attached.close_stream(name)
