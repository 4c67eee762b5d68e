"""`clove deploy show`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from clove.cli.console import Console
from clove.cli.deploy.list_command import state_of
from clove.cli.text import short_time
from clove.deploy.journal import deployments, home, read

__all__ = ["command", "complete_name"]


def complete_name(ctx: click.Context, param: click.Parameter, begin: str) -> list[str]:
    """Names of deployments that begin so."""
    return [name for name in deployments() if name.startswith(begin)]


@click.command("show", epilog="\b\nExamples:\n  clove deploy show build-7")
@click.argument("name", shell_complete=complete_name)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def command(console: Console, name: str, as_json: bool) -> None:
    """Show the journal of a deployment: its steps, and what they made. Asks no machine."""
    console.as_json = console.as_json or as_json
    record = read(name)
    if console.as_json:
        console.data(msgspec.to_builtins(record))
        return
    console.line(f"{name}: {record.target}, {state_of(record)}")
    console.entry(f"machines    {', '.join(record.machines)}", indent=12)
    console.line(f"relay       {record.relay}")
    console.line(f"goes on by  {record.command}")
    console.line(f"kept in     {home() / name}")
    if record.previous:
        console.line(f"before      {record.previous}")
    for entry in record.steps:
        at = short_time(datetime.fromtimestamp(entry.at, UTC).isoformat())
        console.line(f"{entry.step:<12}{entry.state:<7}{at}")
        for key, value in entry.facts.items():
            console.entry(f"{'':<12}{key}: {_shown(value)}", indent=16)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
