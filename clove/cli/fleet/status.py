"""`clove status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clove.cli.console import Console
from clove.cli.fleet.relay_options import RELAY_HELP, relay_options
from clove.cli.text import age

if TYPE_CHECKING:
    from clove.client.fleet import FleetClient

__all__ = ["status"]


@click.command(
    epilog=f"""\b
Examples:
  clove status
  clove status --relay https://relay.example.org:8766
  clove status --json | jq .machines_connected

{RELAY_HELP}"""
)
@relay_options
def status(console: Console, fleet: FleetClient) -> None:
    """Say how many machines and remote agents a relay has."""
    found = fleet.status()
    if console.as_json:
        console.data(found)
        return
    console.line(f"relay {found['version']}, up for {age(found['uptime_seconds'] * 1000)}")
    console.line(f"machines: {found['machines']}, connected: {found['machines_connected']}")
    console.line(f"remote agents: {found['agents']}")
