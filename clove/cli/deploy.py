"""`clove deploy`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.agents import seconds_option
from clove.cli.console import Console
from clove.cli.relay_options import RELAY_HELP, label_option, relay_options
from clove.errors import CloveError, InvalidRequest

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["deploy"]

AT_ONCE: Final = 8
"""Machines on which something is started at the same time."""
MOST: Final = 512 << 10
"""Bytes of a script."""


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=f"""\b
Examples:
  clove deploy agent.py --machine build-7        its output comes here, and its exit code
  clove deploy --machine build-7 agent.py -v     -v goes to the script
  clove deploy --detach --label env=prod agent.py
  clove deploy --detach --all agent.py

On several machines it is started and left to run; a line says how that went on each.

{RELAY_HELP}""",
)
@click.option("--machine", "chosen", multiple=True, help="On this one; may be repeated.")
@label_option("On all with this label; may be repeated.")
@click.option("--all", "every", is_flag=True, help="On all that are connected.")
@click.option("--name", default="", help="The agent's name [default: from the script's].")
@click.option("-d", "--detach", is_flag=True, help="Start it and leave it.")
@click.option(
    "--key", "key", default="", help="A repeated deploy with this key starts nothing twice."
)
@seconds_option("--timeout", "End it after so long (30, 10m).")
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@relay_options
@click.pass_context
def deploy(
    ctx: click.Context,
    /,
    console: Console,
    fleet: FleetClient,
    script: str,
    args: tuple[str, ...],
    chosen: tuple[str, ...],
    labels: dict[str, str],
    every: bool,
    detach: bool,
    key: str,
    **options: Any,
) -> None:
    """Run a script as a sandboxed agent on machines of a relay."""
    given = {name: value for name, value in options.items() if value}
    text = _read(script)
    machines = _machines(fleet, chosen, labels, every)

    def start(machine: str) -> dict[str, Any]:
        name = os.path.basename(script)
        mine = f"{key} {machine}" if key else ""
        return fleet.deploy(machine, name, text, args=list(args), idempotency_key=mine, **given)

    if len(machines) == 1 and not detach:
        ctx.exit(_follow(console, fleet, start(machines[0])))
    if not _each(console, machines, start):
        ctx.exit(1)


def _read(script: str) -> str:
    with open(script, "rb") as file:
        raw = file.read(MOST + 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{script} is no UTF-8") from None
    if len(raw) > MOST:
        raise InvalidRequest(f"{script} has more than {MOST} bytes")
    return text


def _machines(
    fleet: FleetClient, chosen: tuple[str, ...], labels: dict[str, str], every: bool
) -> list[str]:
    found = list(chosen)
    if labels or every:
        found += [
            each["machine_id"]
            for each in fleet.machines()
            if each["presence"] == "connected" and labels.items() <= each["labels"].items()
        ]
    if not found:
        raise InvalidRequest(
            "no machine to run it on", hint="name --machine, --label or --all; clove machines list"
        )
    return list(dict.fromkeys(found))


def _each(console: Console, machines: list[str], start: Callable[[str], dict[str, Any]]) -> bool:
    """Start it on each, and say how that went as soon as it is known; False if one failed."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    good = True
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {pool.submit(start, machine): machine for machine in machines}
        for done in as_completed(asked):
            machine = asked[done]
            try:
                made = done.result()
            except CloveError as error:
                good = False
                if console.as_json:
                    console.data({"machine_id": machine, **error.fields()})
                else:
                    console.remark(f"{machine}: {error.message}")
            else:
                if console.as_json:
                    console.data(made)
                else:
                    console.line(f"{machine}: agent {made['agent_id']} ({made['agent_name']})")
    return good


def _follow(console: Console, fleet: FleetClient, made: dict[str, Any]) -> int:
    """Its output; gives its exit code."""
    if console.as_json:
        console.data(made)
    else:
        console.remark(f"agent {made['agent_id']} ({made['agent_name']}) on {made['machine_id']}")
    for kind, fields in fleet.follow_logs(made["machine_id"], made["agent_id"]):
        if console.as_json:
            console.data({"event": kind, **fields})
        elif kind == "line":
            console.line(fields["text"], stream=fields["stream"])
        elif kind == "lost":
            console.remark(f"{fields['lines']} lines are lost")
        if kind == "exit":
            signal = fields.get("signal")
            code = fields.get("exit_code")
            return 128 + int(signal) if signal else (1 if code is None else int(code))
    return 1
