"""`clove doctor`: what this host can isolate, and what to do about the rest."""

from __future__ import annotations

import json
import sys

import click

from clove.sandbox.probe import Report, probe

__all__ = ["doctor"]


@click.command(
    "doctor",
    epilog="""\b
Examples:
  clove doctor
  clove doctor --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--python",
    default=sys.executable,
    show_default="this one",
    help="Interpreter that tries the mechanisms out.",
)
@click.pass_context
def doctor(context: click.Context, as_json: bool, python: str) -> None:
    """Say what this host can isolate, and how to get what it cannot.

    Each mechanism is really tried, as the current user, in a process that is
    thrown away. Exit code 1: the default sandbox cannot be had.
    """
    report = probe(python)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        _show(report)
    if not report.sandbox:
        context.exit(1)


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("", "feature", "detail"):
        table.add_column(title, overflow="fold")
    for feature in report.features:
        mark = Text("yes", style="green") if feature.available else Text("no", style="red")
        table.add_row(mark, Text(feature.name), Text(feature.detail))
    console = Console(highlight=False)
    console.print(table)
    remedies: dict[str, list[str]] = {}
    for feature in report.features:
        if feature.remedy:
            remedies.setdefault(feature.remedy, []).append(feature.name)
    if remedies:
        console.print(Text("\nTo get what is missing:"))
    for remedy, names in remedies.items():
        console.print(Text(f"  {', '.join(names)}: {remedy}"))
    if report.sandbox:
        console.print(Text("\nThe default sandbox works here.", style="green"))
    else:
        missing = ", ".join(feature.name for feature in report.missing)
        console.print(Text(f"\nThe default sandbox cannot be had: no {missing}.", style="red"))
