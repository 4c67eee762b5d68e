"""`clove run`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console, command_options
from clove.cli.logs import show
from clove.cli.text import default_name, parse_size
from clove.client.blocking import CloveClient
from clove.errors import AlreadyExists, CloveError

if TYPE_CHECKING:
    from clove.client.results import SpawnReply

__all__ = ["run"]

EPILOG = """\b
Examples:
  clove run agent.py
  clove run agent.py --topic bees            what follows SCRIPT is the script's
  clove run --memory 512M --restart on-failure agent.py
  clove run --level readonly agent.py        it may read and think
  clove run --detach --name worker agent.py  leave it running
  clove run --unsandboxed agent.py           with the kernel's own rights

\b
Exit code: the agent's own; 128 + n if signal n ended it; 1 if it could not be
started; 2 if the command line is wrong."""

LEVELS = ("unrestricted", "standard", "sandboxed", "readonly", "minimal")
_NAMES_TO_TRY = 20


class Size(click.ParamType):  # type: ignore[type-arg]
    """Bytes, with a unit."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The number of bytes."""
        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(epilog=EPILOG, context_settings={"allow_interspersed_args": False})
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("args", nargs=-1)
@click.option("--name", help="The agent's name (default: the script's).")
@click.option("--unsandboxed", is_flag=True, help="Without isolation.")
@click.option(
    "--network", is_flag=True, default=None, help="With the network that its permissions allow."
)
@click.option("--memory", type=Size(), help="At most so much memory (512M).")
@click.option("--cold", is_flag=True, help="In an interpreter started for it alone.")
@click.option("--allow-degraded", is_flag=True, help="Also where isolation is incomplete.")
@click.option(
    "--restart",
    type=click.Choice(["never", "on-failure", "always"]),
    default="never",
    show_default=True,
    help="When to start it again.",
)
@click.option("--level", type=click.Choice(LEVELS), help="What it may do (default: standard).")
@click.option("--env", metavar="KEY=VALUE", multiple=True, help="Set a variable; repeatable.")
@click.option("-d", "--detach", is_flag=True, help="Don't wait; print its name and id.")
@command_options
@click.pass_context
def run(
    ctx: click.Context,
    /,
    console: Console,
    script: str,
    args: tuple[str, ...],
    name: str | None,
    detach: bool,
    **asked: Any,
) -> None:
    """Run SCRIPT (Python) as an agent and stream its output.

    Ctrl-C ends the agent. It runs in a sandbox of its own, unless --unsandboxed.
    """
    fields = {"args": list(args), **_fields(**asked)}
    with console.client() as client:
        reply = _spawn(client, os.path.abspath(script), name, fields)
        if detach:
            _say_detached(console, reply)
            return
        if console.as_json:
            console.data({"event": "spawned", **reply})
        ctx.exit(_attend(console, client, reply["agent_id"]))


def _fields(
    *,
    unsandboxed: bool,
    network: bool | None,
    memory: int | None,
    cold: bool,
    allow_degraded: bool,
    restart: str,
    level: str | None,
    env: tuple[str, ...],
) -> dict[str, Any]:
    """SPAWN's fields from the options."""
    for pair in env:
        if "=" not in pair[1:]:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--env")
    return {
        "sandboxed": not unsandboxed,
        "network": network or None,
        "limits": None if memory is None else {"memory": memory},
        "allow_degraded": allow_degraded,
        "warm": False if cold else None,
        "restart_policy": restart,
        "permissions": level,
        "env": dict(pair.split("=", 1) for pair in env) or None,
    }


def _spawn(
    client: CloveClient, script: str, name: str | None, fields: dict[str, Any]
) -> SpawnReply:
    """Spawn it; under a free name like the script's, if none was asked for."""
    stem = default_name(Path(script).stem)
    names = [name] if name else [stem, *(f"{stem}-{n}" for n in range(2, _NAMES_TO_TRY))]
    for candidate in names[:-1]:
        try:
            return client.spawn(candidate, script, **fields)
        except AlreadyExists:
            continue
    return client.spawn(names[-1], script, **fields)


def _say_detached(console: Console, reply: Mapping[str, Any]) -> None:
    if console.as_json:
        console.data(reply)
    else:
        console.line(f"{reply['name']} runs as agent {reply['agent_id']}")


def _attend(console: Console, client: CloveClient, agent_id: int) -> int:
    """Stream an agent's output until it has ended; gives the exit code for us."""
    signal.signal(signal.SIGTERM, _interrupt)
    following = 0
    interrupted = False
    while True:
        try:
            for line in client.follow_logs(agent_id, since=following):
                following = line["offset"] + 1
                show(console, line)
            return _report(console, client.wait(agent_id))
        except KeyboardInterrupt:
            if interrupted:
                return 128 + signal.SIGINT
            interrupted = True
            _end(console, client, agent_id)


def _end(console: Console, client: CloveClient, agent_id: int) -> None:
    """Kill the agent; what it still writes is shown after this."""
    console.remark("interrupted: ending the agent")
    try:
        client.kill(agent_id)
    except CloveError as error:
        console.error(error)


def _report(console: Console, end: Mapping[str, Any]) -> int:
    """Say how it ended, where that is not plain, and with which code we end."""
    if console.as_json:
        console.data({"event": "exited", **end})
    number = end.get("signal")
    reason = end.get("reason") or "exited"
    if number:
        console.remark(f"the agent ended by {_signal_name(number)} ({reason})")
        return (128 + int(number)) & 0xFF
    if reason not in ("exited", "killed"):
        console.remark(f"the agent was ended: {reason}")
    code = end.get("exit_code")
    return 1 if code is None else int(code) & 0xFF


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _interrupt(_number: int, _frame: object) -> None:
    """A SIGTERM to us ends the agent as Ctrl-C does."""
    raise KeyboardInterrupt
