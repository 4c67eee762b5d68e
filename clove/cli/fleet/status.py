"""`clove status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from clove.cli.console import Console
from clove.cli.fleet.relay_options import RELAY_HELP, relay_options
from clove.cli.progress import telling_of
from clove.cli.text import age

if TYPE_CHECKING:
    from clove.cli.fleet.fleet_summary import Summary
    from clove.client.fleet import FleetClient

__all__ = ["status"]

SHOWN = 20
"""Warnings for people; programs get all."""


@click.command(
    epilog=f"""\b
Examples:
  clove status
  clove status --context prod
  clove status --json | jq .machines_connected

{RELAY_HELP}"""
)
@relay_options
def status(console: Console, fleet: FleetClient) -> None:
    """Show a fleet in a few lines: machines, versions, agents, and what to look at."""
    from clove.cli.fleet.fleet_summary import summary_of

    with telling_of(console, "asking the relay and its machines"):
        found = fleet.status()
        summary = summary_of(fleet, found["version"])
    if console.as_json:
        console.data({**found, **summary.fields()})
        return
    _show(console, found, summary)


def _show(console: Console, found: dict[str, Any], summary: Summary) -> None:
    relays = found.get("relays", 1)
    console.line(
        f"relay {found['version']}, up for {age(found['uptime_seconds'] * 1000)}"
        + (f"; {relays} relays share its database" if relays > 1 else "")
    )
    presence = [f"{number} {what}" for what, number in summary.presence.items() if number]
    console.line(f"machines: {found['machines']}" + _in_brackets(presence))
    if summary.versions:
        shown = [f"{version} on {number}" for version, number in summary.versions.items()]
        console.entry(f"versions: {', '.join(shown)}")
    running = "not counted" if summary.running is None else str(summary.running)
    console.line(f"agents: {running}; remote callers: {found['agents']}")
    for machine, text in summary.warnings[:SHOWN]:
        console.entry(f"warning: {machine}: {text}")
    if (more := len(summary.warnings) - SHOWN) > 0:
        console.line(f"warning: {more} more: clove status --json has all")


def _in_brackets(texts: list[str]) -> str:
    return f" ({', '.join(texts)})" if texts else ""
