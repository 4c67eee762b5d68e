"""`clove deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console
from clove.cli.deploy_options import SCRIPT_CONTEXT, Deployment, deploy_options
from clove.cli.deployed import Deployed
from clove.cli.relay_options import RELAY_HELP, label_option, relay_options
from clove.errors import InvalidRequest

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["deploy", "start_on_all"]


@click.command(
    context_settings=SCRIPT_CONTEXT,
    epilog=f"""\b
Examples:
  clove deploy --machine build-7 agent.py        its output comes here, and its exit code
  clove deploy --machine build-7 agent.py -v     -v goes to the script
  clove deploy --detach --label env=prod agent.py
  clove deploy --detach --all agent.py

On one --machine its output comes here. With --label or --all, or on several, it is started and left to run; a line
says how that went on each. Those that are not connected are left out and named.

{RELAY_HELP}""",
)
@click.option(
    "--machine",
    "chosen",
    multiple=True,
    help="On this one; may be repeated. With --label: of these.",
)
@label_option("On all with this label; may be repeated.")
@click.option("--all", "every", is_flag=True, help="On all of the token's.")
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
    if len(chosen) == 1 and not (labels or every or detach):
        made = deployment.start(fleet, chosen[0], attach=True)
        ctx.exit(Deployed(console, fleet, made).attend())
    if not start_on_all(console, fleet, deployment, chosen, labels, every):
        ctx.exit(1)


def start_on_all(
    console: Console,
    fleet: FleetClient,
    deployment: Deployment,
    chosen: tuple[str, ...],
    labels: dict[str, str],
    every: bool,
) -> bool:
    """Start it on each, and say how that went as soon as it is known.

    @return: False if one failed that was there, or one that was named, or all.
    @raise InvalidRequest: none was chosen.
    """
    if not (chosen or labels or every):
        raise InvalidRequest(
            "no machine to run it on", hint="name --machine, --label or --all; clove machines list"
        )
    selector = {"machines": list(chosen), "labels": labels, "all": every}
    good, failed = 0, False
    for result in deployment.start_on_all(fleet, selector):
        made = result["status"] in ("deployed", "sent")
        good += made
        failed = failed or not (made or (result["status"] == "unavailable" and not chosen))
        if console.as_json:
            console.data(result)
        elif made:
            agent = f"agent {result['agent_id']} ({result['agent_name']})"
            console.line(f"{result['machine_id']}: {agent if result['agent_id'] else 'sent'}")
        else:
            console.remark(f"{result['machine_id']}: {result['error']}")
    return good > 0 and not failed
