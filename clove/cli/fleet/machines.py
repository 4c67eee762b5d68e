"""`clove machines`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clove.cli.agents import seconds_option
from clove.cli.ages import passed
from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.machine_doctor import doctor_machine
from clove.cli.fleet.machine_logs import machine_logs
from clove.cli.fleet.machine_show import show_machine
from clove.cli.fleet.machine_ssh import ssh_machine
from clove.cli.fleet.near_machine import near_machine
from clove.cli.fleet.relay_options import RELAY_HELP, label_option, relay_options
from clove.cli.groups import NearGroup
from clove.cli.option_types import Choice
from clove.cli.progress import telling_of
from clove.cli.tables import make_table, print_table, shortened

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["machines"]

STYLES = {"connected": "", "stale": "yellow"}
HOUR = 3600.0
MOST_NAME = 12
"""Characters of a machine's name in a table."""
MOST_SHOWN = 30
"""Characters of what was asked for."""
KINDS = ("token", "route", "site", "connection", "kernel")


@click.group(
    cls=NearGroup,
    epilog=f"""\b
Examples:
  clove machines list
  clove machines list --label env=prod
  clove machines join build-7          a token with which it joins, once
  clove machines label build-7 env=prod
  clove machines drain build-7         start nothing new there
  clove machines denials               what was refused, and to whom
  clove machines doctor build-7        what can it isolate?
  clove machines logs build-7          what has happened with it?
  clove machines ssh build-7 -- uptime
  clove machines remove build-7        its tunnel ends, its key is invalid

--json goes with each.

{RELAY_HELP}""",
)
def machines() -> None:
    """List and manage the machines of a relay."""


@machines.command("list", epilog="\b\nExamples:\n  clove machines list --label env=prod")
@label_option("Only those with this label; may be repeated.")
@relay_options
def list_machines(console: Console, fleet: FleetClient, labels: dict[str, str]) -> None:
    """List machines: connected or not, and for how long."""
    with telling_of(console, "asking the relay"):
        every = list(fleet.machines())
    found = [each for each in every if labels.items() <= each["labels"].items()]
    if console.as_json:
        console.each(found)
        return
    titles = ("MACHINE", "NAME", "PRESENCE", "FOR", "ADDRESS", "REMARKS", "LABELS")
    styles = [STYLES.get(each["presence"], "dim") for each in found]
    print_table(make_table(titles, map(_row, found), styles=styles))


@machines.command("join", epilog="\b\nExamples:\n  clove machines join build-7 --expires 10m")
@click.argument("machine", type=MACHINE)
@seconds_option("--expires", "For how long the token is good (30, 10m, 1h; default 1h).")
@relay_options
def join_machine(console: Console, fleet: FleetClient, machine: str, expires: float | None) -> None:
    """Make a token with which a machine joins; it is good for one machine, once."""
    made = fleet.issue_token("join", machine_id=machine, expires_hours=(expires or HOUR) / HOUR)
    if console.as_json:
        console.data(made)
        return
    console.remark(f"{machine} joins with this token, once, until {made['expires_at']}")
    if console.relay is not None:
        console.remark(f"on {machine}: clove tunnel join {console.relay.hub} {machine}")
    console.line(made["token"])


@machines.command("rename", epilog="\b\nExamples:\n  clove machines rename build-7 'rack 4'")
@click.argument("machine", type=MACHINE)
@click.argument("name")
@relay_options
def rename_machine(console: Console, fleet: FleetClient, machine: str, name: str) -> None:
    """Give a machine another name for people; its id stays."""
    with near_machine(fleet, machine):
        changed = fleet.change_machine(machine, name=name)
    _changed(console, changed)


@machines.command(
    "label",
    epilog="\b\nExamples:\n  clove machines label build-7 env=prod\n"
    "  clove machines label build-7 zone=     no label zone any more",
)
@click.argument("machine", type=MACHINE)
@click.argument("labels", metavar="KEY=[VALUE]...", nargs=-1, required=True)
@relay_options
def label_machine(
    console: Console, fleet: FleetClient, machine: str, labels: tuple[str, ...]
) -> None:
    """Give a machine labels, by which tokens and people choose it; KEY= takes one away."""
    with near_machine(fleet, machine):
        changed = dict(fleet.machine(machine)["labels"])
    for text in labels:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="KEY=[VALUE]")
        if value:
            changed[key] = value
        else:
            changed.pop(key, None)
    _changed(console, fleet.change_machine(machine, labels=changed))


@machines.command(
    "drain",
    epilog="\b\nExamples:\n  clove machines drain build-7\n"
    "  clove machines drain build-7 --off     agents are started there again",
)
@click.argument("machine", type=MACHINE)
@click.option("--off", is_flag=True, help="Start agents there again.")
@relay_options
def drain_machine(console: Console, fleet: FleetClient, machine: str, off: bool) -> None:
    """Start nothing new on a machine; what runs there goes on."""
    with near_machine(fleet, machine):
        changed = fleet.change_machine(machine, draining=not off)
    _changed(console, changed)
    if changed["draining"] and not console.as_json:
        console.remark(f"nothing new is started there, until: clove machines drain {machine} --off")


@machines.command(
    "denials", epilog="\b\nExamples:\n  clove machines denials --machine build-7 --kind token"
)
@click.option("--machine", type=MACHINE, help="Concerning this machine alone.")
@click.option("--kind", type=Choice(KINDS), help="Of this kind alone.")
@click.option("-n", "--tail", type=click.IntRange(min=1), default=50, help="The last so many (50).")
@relay_options
def list_denials(
    console: Console, fleet: FleetClient, machine: str | None, kind: str | None, tail: int
) -> None:
    """Show what relays refused, and machines' kernels to them; the newest is the last."""
    found = list(fleet.denials(machine_id=machine or "", kind=kind or "", most=tail))[::-1]
    if console.as_json:
        console.each(found)
        return
    titles = ("AGO", "TIMES", "KIND", "FROM", "WHAT", "WHY")
    print_table(make_table(titles, map(_denial, found), numbers=("TIMES",), wrapped="WHY"))


@machines.command("remove", epilog="\b\nExamples:\n  clove machines remove build-7")
@click.argument("machine", type=MACHINE)
@relay_options
def remove_machine(console: Console, fleet: FleetClient, machine: str) -> None:
    """Forget a machine, its key and its tokens, and end its tunnel."""
    with near_machine(fleet, machine):
        removed = fleet.remove_machine(machine)
    if console.as_json:
        console.data(removed)
    else:
        console.line(f"removed {machine}")


for command in (show_machine, doctor_machine, machine_logs, ssh_machine):
    machines.add_command(command)


def _row(machine: dict[str, Any]) -> tuple[str, ...]:
    labels = ",".join(f"{key}={value}" for key, value in sorted(machine["labels"].items()))
    remarks = [flag["what"] for flag in machine["flags"]]
    if machine["draining"]:
        remarks.append("draining")
    return (
        machine["machine_id"],
        shortened(machine["name"], MOST_NAME),
        machine["presence"],
        passed(machine["presence_since"]),
        machine["ip_address"] or "-",
        " ".join(remarks),
        labels,
    )


def _denial(each: dict[str, Any]) -> tuple[str, ...]:
    what = str(each["what"]).replace(" /api/v1/", " ")
    return (
        passed(each["last"]),
        str(each["count"]),
        each["kind"],
        each["source"],
        shortened(what, MOST_SHOWN),
        each["error"],
    )


def _changed(console: Console, machine: dict[str, Any]) -> None:
    if console.as_json:
        console.data(machine)
    else:
        console.line(f"changed {machine['machine_id']}")
