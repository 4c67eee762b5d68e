"""`clove deploy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.console import Console
from clove.cli.deploy_options import SCRIPT_CONTEXT, Deployment, deploy_options
from clove.cli.deployed import Deployed
from clove.cli.relay_options import RELAY_HELP, label_option, relay_options
from clove.errors import CloveError, InvalidRequest

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["deploy"]

AT_ONCE: Final = 8
"""Machines on which something is started at the same time."""


@click.command(
    context_settings=SCRIPT_CONTEXT,
    epilog=f"""\b
Examples:
  clove deploy --machine build-7 agent.py        its output comes here, and its exit code
  clove deploy --machine build-7 agent.py -v     -v goes to the script
  clove deploy --detach --label env=prod agent.py
  clove deploy --detach --all agent.py

On several machines it is started and left to run; a line says how that went on each.

{RELAY_HELP}""",
)
@click.option("--machine", "chosen", multiple=True, help="On this one; may be repeated.")
@label_option("On all with this label; may be repeated.")
@click.option("--all", "every", is_flag=True, help="On all that are connected.")
@deploy_options
@relay_options
@click.pass_context
def deploy(
    ctx: click.Context,
    /,
    console: Console,
    fleet: FleetClient,
    chosen: tuple[str, ...],
    labels: dict[str, str],
    every: bool,
    detach: bool,
    **given: Any,
) -> None:
    """Run a script as a sandboxed agent on machines of a relay."""
    deployment = Deployment(**given)
    machines = _machines(fleet, chosen, labels, every)
    if len(machines) == 1 and not detach:
        made = deployment.start(fleet, machines[0], attach=True)
        ctx.exit(Deployed(console, fleet, made).attend())
    if not _each(console, machines, lambda machine: deployment.start(fleet, machine)):
        ctx.exit(1)


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
