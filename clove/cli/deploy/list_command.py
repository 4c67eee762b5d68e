"""`clove deploy list`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from clove.cli.console import Console
from clove.cli.tables import make_table, print_table
from clove.cli.text import short_time
from clove.deploy.journal import Record, deployments, read
from clove.errors import CloveError

__all__ = ["command", "state_of"]


@click.command("list", epilog="\b\nExamples:\n  clove deploy list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
@click.pass_obj
def command(console: Console, as_json: bool) -> None:
    """List deployments that were made from here, and how far they are."""
    console.as_json = console.as_json or as_json
    rows = []
    for name in deployments():
        try:
            record = read(name)
        except CloveError as error:
            console.error(error)
            continue
        if console.as_json:
            told = {"name": name, "target": record.target, "relay": record.relay}
            console.data({**told, "machines": record.machines, "state": state_of(record)})
            continue
        made = short_time(datetime.fromtimestamp(record.created, UTC).isoformat())
        machines = ",".join(record.machines[:3]) + (",..." if len(record.machines) > 3 else "")
        rows.append((name, record.target, machines, made, state_of(record)))
    if not console.as_json:
        print_table(make_table(("NAME", "TARGET", "MACHINES", "SINCE", "STATE"), rows))


def state_of(record: Record) -> str:
    """How far it is: C{deployed}, or the step at which it stands."""
    open_step = next((entry.step for entry in record.steps if entry.state != "done"), None)
    if open_step is not None:
        return f"stopped at {open_step}"
    return "deployed" if record.entry("smoke") else "not finished"
