"""Tables for people: one line for each thing, columns as wide as they need to be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from clove.cli.text import clean

if TYPE_CHECKING:
    from rich.table import Column, Table

__all__ = ["STYLES", "fit_table", "make_table", "print_table", "shortened"]

STYLES: Final = {"running": "", "starting": "", "paused": "yellow", "restarting": "yellow"}
"""How a line about an agent in this state looks; all others are dim."""
WIDTH: Final = 240
"""Characters of a line where no terminal says how many there are; more, where something would be cut."""
BETWEEN: Final = 2
"""Blanks between two columns."""
LEAST_LAST: Final = 10
"""Characters of the last column for which others are left out."""


def make_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
    styles: Sequence[str] = (),
    wrapped: str = "",
) -> Table:
    """A table without lines, harmless on a terminal.

    @param numbers: titles of the columns that are set to the right.
    @param wrapped: title of the column that goes on in the next line where there is no room; else it is cut.
    @param styles: of each row, in rich's terms.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(
            title, justify="right" if title in numbers else "left", no_wrap=title != wrapped
        )
    for number, row in enumerate(rows):
        style = styles[number] if number < len(styles) else ""
        table.add_row(*(Text(clean(cell), style=style) for cell in row))
    return table


def print_table(table: Table, *, spare: Sequence[str] = ()) -> None:
    """Print it on stdout, as wide as the terminal.

    The last column alone is cut, or goes on in the next line, where there is no room; if the others have none, lines are longer.

    @param spare: titles of columns that a terminal without room for them does not get, the first of them first.
    """
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    if not sys.stdout.isatty():
        console.width = max(WIDTH, _width(table.columns))
    console.width = fit_table(table, console.width, spare=spare)
    console.print(table)


def fit_table(table: Table, width: int, *, spare: Sequence[str] = ()) -> int:
    """Give the columns of a table their widths, and leave out those for which there is no room.

    @param width: characters of a line.
    @param spare: as L{print_table} has it.
    @return: characters of the table's lines: more, if the columns that stay have no room.
    """
    for title in spare:
        if _width(table.columns[:-1]) + LEAST_LAST > width:
            table.columns = [each for each in table.columns if each.header != title]
            # rich knows the last column, which has no room behind it, by its number
            for number, column in enumerate(table.columns):
                column._index = number
    *whole, last = table.columns
    for column in whole:
        column.min_width = _width([column]) - BETWEEN
    room = max(width - _width(whole), len(str(last.header)))
    last.width = min(
        room, _width([last]) - BETWEEN
    )  # else rich takes from all, and 0 of one is none
    return max(width, _width(whole) + last.width)


def _width(columns: Sequence[Column]) -> int:
    """Characters of columns that are not cut, with what is behind each."""
    from rich.cells import cell_len

    return sum(
        max(cell_len(str(each)) for each in (column.header, *column.cells)) + BETWEEN
        for column in columns
    )


def shortened(text: str, most: int) -> str:
    """As much of a text as a column has room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
