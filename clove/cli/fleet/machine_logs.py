"""`clove machines logs`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.near_machine import near_machine
from clove.cli.fleet.relay_options import relay_options
from clove.cli.progress import telling_of
from clove.cli.text import short_time
from clove.errors import PermissionDenied

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["machine_logs"]


class Event(NamedTuple):
    """Something that a relay knows of a machine.

    @ivar at: ISO 8601, UTC.
    @ivar what: machine, presence, flag, token, refused or caller.
    """

    at: str
    what: str
    text: str


@click.command(
    "logs",
    epilog="\b\nExamples:\n  clove machines logs build-7\n  clove machines logs build-7 -n 10",
)
@click.argument("machine", type=MACHINE)
@click.option(
    "-n", "--tail", type=click.IntRange(min=1), default=100, help="The last so many (100)."
)
@relay_options
def machine_logs(console: Console, fleet: FleetClient, machine: str, tail: int) -> None:
    """Show what a relay knows of a machine's past: tokens, joining, refusals, callers.

    Refusals are those since the relay's start. What agents did there is in the machine's own audit log.
    """
    with near_machine(fleet, machine):
        found = fleet.machine(machine)
    with telling_of(console, "asking the relay"):
        events = [*_of_machine(found), *_callers(fleet, machine)]
        try:
            events += [*_of_tokens(fleet, machine), *_refusals(fleet, machine, tail)]
            whole = True
        except PermissionDenied:
            whole = False
    if not whole:
        console.remark("tokens and refusals are shown to tokens of kind admin alone")
    for each in sorted(events)[-tail:]:
        if console.as_json:
            console.data(each._asdict())
        else:
            console.entry(f"{short_time(each.at)}  {each.what:<9}{each.text}", indent=30)
    console.remark("what its kernel did and refused, `clove audit` shows there")


def _of_machine(found: dict[str, Any]) -> Iterator[Event]:
    yield Event(found["created_at"], "machine", "it was registered")
    for flag in found["flags"]:
        yield Event(flag["at"], "flag", flag["what"])
    if found["presence_since"]:
        text = found["presence"]
        if found["presence"] != "disconnected" and found["ip_address"]:
            text += f", from {found['ip_address']}"
        yield Event(found["presence_since"], "presence", text)


def _of_tokens(fleet: FleetClient, machine: str) -> Iterator[Event]:
    for token in fleet.tokens():
        if token["machine_id"] != machine:
            continue
        named = f"{token['type']} token {token['id']}"
        yield Event(token["created_at"], "token", f"{named} was made")
        for key, what in (("used_at", "joined by it"), ("revoked_at", "it was revoked")):
            if token[key]:
                yield Event(token[key], "token", f"{named}: {what}")


def _refusals(fleet: FleetClient, machine: str, most: int) -> Iterator[Event]:
    for each in fleet.denials(machine_id=machine, most=most):
        times = f" ({each['count']} times)" if each["count"] > 1 else ""
        yield Event(
            each["last"], "refused", f"{each['what']} of {each['source']}: {each['error']}{times}"
        )


def _callers(fleet: FleetClient, machine: str) -> Iterator[Event]:
    for each in fleet.agents(machine):
        yield Event(each["connected_at"], "caller", f"{each['agent_name']} is connected")
