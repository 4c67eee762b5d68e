"""The command line of a module of the bench that is run by itself."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable

from rich.console import Console

from bench.figures import Figure
from bench.fixture import Failed
from bench.results import Taken, show
from bench.servers import Unavailable

__all__ = ["command", "report"]


def command(
    name: str, about: str | None, rounds: int, what: str, smoke: str = "few of each"
) -> argparse.ArgumentParser:
    """The arguments that these modules have in common.

    @param about: the module's text, of which the first line is shown.
    @param rounds: how many there are by default.
    @param what: is done in rounds.
    @param smoke: what C{--smoke} does.
    """
    parser = argparse.ArgumentParser(prog=name, description=(about or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print records, not a table")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"{what} ({rounds})")
    parser.add_argument("--smoke", action="store_true", help=smoke)
    return parser


def report(title: str, measure: Callable[[], list[Figure]], *, as_json: bool) -> int:
    """Measure, and print it; 0, or 1 when something needed is missing.

    The load of the machine beforehand is printed, too: the figures mean little if it was busy.

    @param as_json: as records, not as a table.
    """
    load = os.getloadavg()[0]
    try:
        figures = measure()
    except (Unavailable, Failed) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    if as_json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": load}
        records = [figure.record() for figure in figures]
        print(json.dumps({"machine": machine, "records": records}, indent=2))
        return 0
    about = f"{os.cpu_count()} processors, load {load:.2f} before it began"
    show(Taken(f"{title} ({about})", figures), Console(width=None if sys.stdout.isatty() else 150))
    return 0
