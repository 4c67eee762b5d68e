"""`clove machines ssh`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.console import Console
from clove.cli.fleet.fleet_types import MACHINE
from clove.cli.fleet.near_machine import near_machine
from clove.cli.fleet.relay_options import relay_options
from clove.errors import InvalidRequest, NotFound, Unavailable

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["ssh_machine"]

DESTINATION: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:-]*")
"""A user and a host, or a host; neither may be an option of ssh's."""


@click.command(
    "ssh",
    epilog="""\b
Examples:
  clove machines ssh build-7
  clove machines ssh build-7 -- uptime
  clove machines ssh build-7 -- -p 2222 -l ann
  clove machines label build-7 ssh=ann@build-7.example.org    its address

The address is the machine's label (or metadata) ssh, else the one that its tunnel came from. It
is your own ssh with your own keys and known hosts; nothing of it goes through the tunnel. Its
exit code is ours.""",
)
@click.argument("machine", type=MACHINE)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@relay_options
def ssh_machine(console: Console, fleet: FleetClient, machine: str, args: tuple[str, ...]) -> None:
    """Run your ssh to a machine, with ARGS behind the address."""
    with near_machine(fleet, machine):
        destination = _destination(fleet.machine(machine))
    if console.as_json:
        console.data({"machine_id": machine, "command": ["ssh", destination, *args]})
        return
    program = shutil.which("ssh")
    if program is None:
        raise NotFound("there is no ssh here", hint="install it (Debian: openssh-client)")
    sys.stdout.flush()
    try:
        os.execv(program, ["ssh", destination, *args])  # noqa: S606 the user's own
    except OSError as error:
        raise Unavailable(f"ssh: {error.strerror}") from None


def _destination(machine: dict[str, Any]) -> str:
    """Where ssh goes.

    @raise NotFound: it is not known.
    @raise InvalidRequest: it is no user and host.
    """
    name = machine["machine_id"]
    given = machine["labels"].get("ssh") or machine["metadata"].get("ssh")
    found = given or machine["ip_address"]
    if not found:
        raise NotFound(
            f"it is not known where {name} is reached by ssh",
            hint=f"clove machines label {name} ssh=USER@HOST",
        )
    if not isinstance(found, str) or not DESTINATION.fullmatch(found):
        raise InvalidRequest(
            f"{found!r} is no address for ssh, as USER@HOST",
            hint=f"clove machines label {name} ssh=USER@HOST",
        )
    return found
