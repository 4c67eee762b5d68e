"""What a machine can isolate, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from clove.cli.text import clean

if TYPE_CHECKING:
    from clove.sandbox.probe import Feature

__all__ = ["show_features"]


def show_features(
    features: Iterable[Feature], sandbox: bool, missing: Iterable[str], *, where: str
) -> None:
    """Print it on stdout.

    @param sandbox: whether the default sandbox can be had.
    @param missing: features for want of which it cannot.
    @param where: C{here}, or C{on build-7}.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("", "feature", "detail"):
        table.add_column(title, overflow="fold")
    hints: dict[str, list[str]] = {}
    for feature in features:
        mark = Text("yes", style="green") if feature.available else Text("no", style="red")
        table.add_row(mark, Text(clean(feature.name)), Text(clean(feature.detail)))
        if feature.remedy:
            hints.setdefault(clean(feature.remedy), []).append(clean(feature.name))
    console = Console(highlight=False)
    console.print(table)
    if hints:
        console.print(Text("\nTo get what is missing:"))
    for remedy, names in hints.items():
        console.print(Text(f"  {', '.join(names)}: {remedy}"))
    if sandbox:
        console.print(Text(f"\nThe default sandbox works {where}.", style="green"))
    else:
        wanting = ", ".join(missing) or "report of it"
        text = f"\nThe default sandbox cannot be had {where}: no {wanting}."
        console.print(Text(text, style="red"))
