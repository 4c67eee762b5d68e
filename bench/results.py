"""The results of a run: as JSON, and as tables on the terminal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Curve, Figure, Line, Point

__all__ = ["STORED", "VERSION", "Taken", "load", "save", "show"]

VERSION = 1
"""Of the JSON; another one has other fields."""
STORED = Path(__file__).parent / "results" / "latest.json"
"""The run that docs/performance.md shows."""


@dataclass
class Taken:
    """What a group gave.

    @ivar missing: why it gave nothing, or not all; empty: it gave all.
    @ivar failed: that is a fault of the bench or of what it measures.
    """

    title: str
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    seconds: float = 0.0
    missing: str = ""
    failed: bool = False


def save(path: Path, about: dict[str, Any], taken: dict[str, Taken]) -> None:
    """Write all.

    @param about: the date, the tree, the machine and the settings.
    """
    groups = {
        name: {
            "title": group.title,
            "seconds": round(group.seconds, 1),
            "missing": group.missing,
            "figures": [_rounded(figure.record()) for figure in group.figures],
            "curves": [_rounded(curve.record()) for curve in group.curves],
        }
        for name, group in taken.items()
    }
    data = {"version": VERSION, **about, "groups": groups}
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def load(path: Path) -> tuple[dict[str, Any], dict[str, Taken]]:
    """What L{save} has written.

    @raise ValueError: it is of another version.
    """
    data = json.loads(path.read_text())
    if data.pop("version", None) != VERSION:
        raise ValueError(f"{path} is not of version {VERSION}: take it anew (make bench)")
    taken = {}
    for name, group in data.pop("groups").items():
        figures = []
        for record in group["figures"]:
            record.pop("holds")
            figures.append(Figure(**record))
        curves = [_curve(record) for record in group["curves"]]
        taken[name] = Taken(
            group["title"], figures, curves, group["seconds"], group["missing"]
        )  # fmt: skip
    return data, taken


def _curve(record: dict[str, Any]) -> Curve:
    lines = [
        Line(line["name"], [Point(**point) for point in line["points"]])
        for line in record.pop("lines")
    ]
    return Curve(lines=lines, **record)


def _rounded(value: Any) -> Any:
    """Numbers with five digits: more are noise."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def show(taken: Taken, console: Console) -> None:
    """A group's table."""
    if taken.figures:
        table = Table(title=taken.title)
        for heading in ("what", "measured", "from - to", "bar", "", "note"):
            left = heading in ("what", "", "note")
            table.add_column(heading, justify="left" if left else "right")
        for figure in taken.figures:
            verdict = {True: "held", False: "missed", None: ""}[figure.holds]
            table.add_row(
                figure.name, number(figure), _spread(figure), bar(figure), verdict, _note(figure)
            )
        console.print(table)
    for curve in taken.curves:
        console.print(f"{curve.title}: {sum(len(line.points) for line in curve.lines)} points")
    if taken.missing:
        console.print(f"{taken.title}: {taken.missing}", style="yellow")


def short(value: float) -> str:
    """A number with three digits, or whole."""
    if value and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def number(figure: Figure) -> str:
    """The value with its unit."""
    return "-" if figure.value is None else f"{short(figure.value)} {figure.unit}".rstrip()


def bar(figure: Figure) -> str:
    """The bar with its direction."""
    if figure.bar is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {short(figure.bar)}"


def _spread(figure: Figure) -> str:
    if figure.low is None or figure.high is None or figure.samples < 2:
        return ""
    return f"{short(figure.low)} - {short(figure.high)}"


def _note(figure: Figure) -> str:
    """The note, what stands behind the value, and how quiet the machine was."""
    parts = [figure.note] if figure.note else []
    parts += [f"{key} {short(value)}" for key, value in figure.details.items()]
    if figure.disturbed:
        parts.append(f"{figure.disturbed} of {max(figure.samples, figure.disturbed)} disturbed")
    return "; ".join(parts)
