"""Renew the tables of docs/performance.md from results: `python -m bench.page [RESULTS.json]`.

A table stands between `<!-- bench: WHAT -->` and `<!-- end -->`; what stands around the tables is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.kernels import ECHO
from bench.results import STORED, Taken, bar, load, number, short
from bench.workload import WORKLOADS

__all__ = ["PAGE", "renewed"]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BLOCK = re.compile(r"(<!-- bench: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOISY = 0.25
"""Fraction of the rows that may have disturbed samples without a warning."""
Groups = dict[str, Taken]


def renewed(page: str, about: dict[str, Any], taken: Groups) -> str:
    """The page with all its tables made anew. Pure.

    @raise ValueError: the page asks for a table that there is not.
    """

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}{_block(found[2], about, taken)}\n{found[3]}"

    return BLOCK.sub(block, page)


def _block(what: str, about: dict[str, Any], taken: Groups) -> str:
    kind, *names = what.split()
    if kind == "machine":
        return _machine(about, taken)
    if kind == "bars":
        return _bars(taken)
    if kind == "rates":
        return _servers(taken, lambda one: f"{_kilo(one.details['per second'])} ({one.value:.2f})")
    if kind == "costs":
        return _servers(taken, lambda one: short(one.details["CPU us"]))
    if kind == "stages":
        return _stages(taken)
    if kind == "rows" and all(name in taken for name in names):
        return _rows([figure for name in names for figure in taken[name].figures])
    raise ValueError(f"there is no table for {what!r}: see bench/page.py and bench/groups.py")


def _table(
    heads: Iterable[str], rows: Iterable[Iterable[str]], texts: tuple[int, ...] = (0,)
) -> str:
    """A table with numbers in all columns but these."""
    heads = list(heads)
    aligned = ["---" if at in texts else "---:" for at in range(len(heads))]
    lines = [heads, aligned, *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _machine(about: dict[str, Any], taken: Groups) -> str:
    facts, settings = about["machine"], about["settings"]
    peers = ", ".join(f"{name} {version}" for name, version in facts["peers"].items())
    rows = [figure for group in taken.values() for figure in group.figures]
    disturbed = sum(figure.disturbed > 0 for figure in rows)
    virtual = ", virtual" if facts["virtual"] else ""
    quiet = f"{disturbed} of {len(rows)} rows have samples that others disturbed."
    if disturbed > len(rows) * NOISY:
        quiet += "\n**Others used the machine during this run: its figures are worth little.**"
    rounds = "1 round" if settings["rounds"] == 1 else f"{settings['rounds']} rounds"
    missing = [f"{group.title}: {group.missing}." for group in taken.values() if group.missing]
    lines = [
        f"Taken {about['taken']} with {facts['processors']} processors ({facts['processor']}{virtual}),",
        f"Linux {facts['kernel']}, Python {facts['python']}; {peers}.",
        f"{rounds}, {settings['seconds']} s a sample. {quiet}",
        *missing,
    ]
    return "\n".join(lines)


def _bars(taken: Groups) -> str:
    """Every row that has a bar."""
    rows = [
        (
            figure.name,
            number(figure),
            _extremes(figure),
            bar(figure),
            {True: "holds", False: "**missed**", None: "not measured"}[figure.holds],
        )
        for group in taken.values()
        for figure in group.figures
        if figure.bar is not None
    ]
    return _table(("what", "median", "from - to", "bar", ""), rows, (0, 4))


def _rows(figures: list[Figure]) -> str:
    rows = [(figure.name, number(figure), _extremes(figure), _behind(figure)) for figure in figures]
    return _table(("what", "median", "from - to", "behind it"), rows, (0, 3))


def _servers(taken: Groups, cell: Any) -> str:
    """A line for each workload, a column for each server."""
    by_name: dict[str, dict[str, Figure]] = {}
    for figure in taken["requests"].figures:
        load_name, _, server = figure.name.removesuffix(f" / {ECHO}").rpartition(": ")
        if figure.name.endswith(f" / {ECHO}"):
            by_name.setdefault(load_name, {})[server] = figure
    first = next(iter(by_name.values()))
    servers = [ECHO, *(name for name in first if name != ECHO)]
    rows = [
        [load.name, *(cell(found[name]) if name in found else "" for name in servers)]
        for load in WORKLOADS
        if (found := by_name.get(load.name))
    ]
    return _table(["", *servers], rows)


def _stages(taken: Groups) -> str:
    """Microseconds of what a request costs after its frame is whole."""
    figures = taken["stages"].figures
    stages = list(figures[0].details)
    rows = [
        [figure.name.partition(":")[0]]
        + [f"{figure.details[stage]:.2f}" for stage in stages]
        + [f"{figure.value:.2f}"]
        for figure in figures
    ]
    return _table(["us", *stages, "whole"], rows)


def _extremes(figure: Figure) -> str:
    if figure.low is None or figure.high is None or figure.samples < 2:
        return "disturbed" if figure.disturbed else ""
    told = f"{short(figure.low)} - {short(figure.high)}"
    return f"{told} (disturbed)" if figure.disturbed else told


def _behind(figure: Figure) -> str:
    parts = [figure.note] if figure.note else []
    return "; ".join(parts + [f"{key} {short(value)}" for key, value in figure.details.items()])


def _kilo(rate: float) -> str:
    return f"{rate / 1e6:.2f} M" if rate >= 1e6 else f"{rate / 1e3:.3g} k"


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0."""
    parser = argparse.ArgumentParser(prog="bench.page", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("results", nargs="?", type=Path, default=STORED)
    options = parser.parse_args(arguments)
    PAGE.write_text(renewed(PAGE.read_text(), *load(options.results)))
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
