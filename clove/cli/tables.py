"""Tables for people: one line for each thing, columns as wide as they need to be."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from clove.cli.text import clean

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["STYLES", "make_table", "print_table", "shortened"]

STYLES: Final = {"running": "", "starting": "", "paused": "yellow", "restarting": "yellow"}
"""How a line about an agent in this state looks; all others are dim."""
WIDTH: Final = 240
"""Characters of a line where no terminal says how many there are."""
BETWEEN: Final = 2
"""Blanks between two columns."""


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


def print_table(table: Table) -> None:
    """Print it on stdout, as wide as the terminal.

    The last column alone is cut, or goes on in the next line, where there is no room; if the others have none, lines are longer.
    """
    from rich.cells import cell_len
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    *whole, last = table.columns
    least = cell_len(str(last.header))
    for column in whole:
        column.min_width = max(cell_len(str(each)) for each in (column.header, *column.cells))
        least += column.min_width + BETWEEN
    console.width = max(console.width, least) if sys.stdout.isatty() else WIDTH
    console.print(table)


def shortened(text: str, most: int) -> str:
    """As much of a text as a column has room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
