"""`clove audit`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from clove.cli.agents import agent_id
from clove.cli.console import Console, command_options
from clove.cli.option_types import Choice
from clove.cli.target import AGENT
from clove.cli.text import clean, facts

if TYPE_CHECKING:
    from clove.client.blocking import CloveClient

__all__ = ["audit"]

CATEGORIES: Final = (
    "SECURITY",
    "AGENT_LIFECYCLE",
    "IPC",
    "STATE_STORE",
    "RESOURCE",
    "SYSCALL",
    "NETWORK",
    "WORLD",
)
PAGE: Final = 100
PAUSE: Final = 0.5
"""Seconds between two looks for new entries."""


@click.command(
    epilog="""\b
Examples:
  clove audit                            the last hundred entries
  clove audit -n 20 --category SECURITY
  clove audit --agent researcher         what one agent did
  clove audit -f                         and what is done from now on
  clove audit --json --since-id 4711     all after that entry
"""
)
@click.option(
    "--category",
    type=Choice(CATEGORIES),
    metavar="CATEGORY",
    help=f"Of this one alone: {', '.join(CATEGORIES)}.",
)
@click.option("--agent", type=AGENT, help="What this agent (name or id) did.")
@click.option("-n", "--tail", type=click.IntRange(min=1), help="The last so many (100).")
@click.option("--since-id", type=click.IntRange(min=0), help="All after the entry of this id.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@command_options
def audit(
    console: Console,
    category: str | None,
    agent: str | None,
    tail: int | None,
    since_id: int | None,
    follow: bool,
) -> None:
    """Show what agents and operators did, and what was refused to them."""
    if tail is not None and since_id is not None:
        raise click.UsageError(
            "--tail counts from the end, --since-id from an entry on: one of them"
        )
    with console.client() as client:
        wanted = {"category": category, "agent_id": agent and agent_id(client, agent)}
        try:
            for entry in _entries(client, wanted, tail, since_id, follow):
                _show(console, entry)
        except KeyboardInterrupt:
            return


def _entries(
    client: CloveClient,
    wanted: dict[str, Any],
    tail: int | None,
    since_id: int | None,
    follow: bool,
) -> Iterator[Mapping[str, Any]]:
    """The entries, oldest first; page by page, and then as they come."""
    last = since_id
    if last is None:
        page = client.get_audit_log(**wanted, limit=tail or PAGE)["entries"]
        yield from page
        last = page[-1]["id"] if page else 0
        if not follow:
            return
    while True:
        page = client.get_audit_log(**wanted, since_id=last, limit=PAGE)["entries"]
        yield from page
        if page:
            last = page[-1]["id"]
        elif follow:
            time.sleep(PAUSE)
        else:
            return


def _show(console: Console, entry: Mapping[str, Any]) -> None:
    if console.as_json:
        console.data(dict(entry))
        return
    who = f"{entry['agent_name'] or '-'} ({entry['agent_id']})"
    mark = "ok" if entry["success"] else "REFUSED" if _refused(entry) else "failed"
    line = (
        f"{entry['timestamp']}  {entry['category']:<15} {entry['event_type']:<16}"
        f" {who:<20} {mark:<7} {facts(entry.get('details') or {})}"
    )
    console.entry(clean(line.rstrip()))


def _refused(entry: Mapping[str, Any]) -> bool:
    details = entry.get("details")
    return isinstance(details, dict) and bool(details.get("rule"))
