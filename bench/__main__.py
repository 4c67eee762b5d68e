"""Measure everything: `python -m bench [--json FILE] [--rounds N] [--only GROUP] [--smoke]` (`make bench`).

Each row is the median of samples that were taken in turn with what they are compared with, while the
machine was quiet, servers on one processor and their load on another. A row whose samples others disturbed
says so.
"""

from __future__ import annotations

import argparse
import datetime
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.figures import Figure
from bench.fixture import Failed
from bench.groups import GROUPS, Group
from bench.leaks import adopt_orphans
from bench.machine import facts
from bench.plan import Plan
from bench.results import Taken, save, show
from bench.servers import Unavailable
from clove._version import __version__


def measure(group: Group, plan: Plan) -> Taken:
    """What one group gives; what goes wrong is told, and the next one is measured all the same."""
    taken = Taken(group.title)
    begun = time.monotonic()
    try:
        for found in group.load()(plan):
            if isinstance(found, Figure):
                taken.figures.append(found)
            else:
                taken.curves.append(found)
    except Unavailable as error:
        taken.missing = str(error)
    except (Failed, RuntimeError, OSError, ValueError) as error:
        taken.missing, taken.failed = f"failed: {error}", True
        traceback.print_exc()
    taken.seconds = time.monotonic() - begun
    return taken


def run(names: list[str], options: argparse.Namespace, console: Console) -> dict[str, Taken]:
    """All groups that are asked for, with their tables as they come."""
    taken = {}
    columns = (TextColumn("{task.fields[what]}"), BarColumn(20), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(names), what="")

        def say(text: str) -> None:
            progress.update(task, what=text)

        plan = Plan(
            options.rounds, options.seconds, options.smoke, say, options.against, options.patience
        )
        for name in names:
            taken[name] = measure(GROUPS[name], plan)
            progress.advance(task)
            if options.smoke:
                console.print(f"{name}: {_told(taken[name])}")
            else:
                show(taken[name], console)
    return taken


def _told(taken: Taken) -> str:
    """A line for a run of which the numbers say nothing."""
    count = f"{len(taken.figures)} rows, {len(taken.curves)} pictures, {taken.seconds:.1f} s"
    notes = [taken.missing, *(figure.note for figure in taken.figures if figure.value is None)]
    return "; ".join([count, *filter(None, notes)])


def about(options: argparse.Namespace) -> dict[str, Any]:
    """When, of what and where it was measured."""
    return {
        "taken": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "clove": __version__,
        "tree": _tree(),
        "machine": facts(),
        "settings": {"rounds": options.rounds, "seconds": options.seconds, "smoke": options.smoke},
    }


def _tree() -> str:
    """The commit, where this is a clone; empty elsewhere."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when a group failed. A bar that is missed is no failure."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--rounds", type=int, default=5, help="samples of each row (5)")
    parser.add_argument("--seconds", type=float, default=0.45, help="of one sample (0.45)")
    parser.add_argument(
        "--only", action="append", choices=GROUPS, metavar="GROUP",
        help=f"measure this one alone; may be repeated: {', '.join(GROUPS)}",
    )  # fmt: skip
    parser.add_argument("--against", type=Path, metavar="TREE", help="requests to its kernel, too")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds of waiting for others (120)"
    )
    parser.add_argument("--smoke", action="store_true", help="see that everything runs")
    options = parser.parse_args(arguments)
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are ended on the way out
    console = Console(width=None if sys.stdout.isatty() else 150)
    begun = time.monotonic()
    taken = run(options.only or list(GROUPS), options, console)
    if options.json:
        save(options.json, about(options), taken)
    failed = [name for name, group in taken.items() if group.failed]
    rows = [figure for group in taken.values() for figure in group.figures]
    told = f"{len(rows)} rows in {time.monotonic() - begun:.0f} s"
    if not options.smoke:
        missed = [figure.name for figure in rows if figure.holds is False]
        held = sum(figure.holds is True for figure in rows)
        told = "; ".join([told, f"bars: {held} held, {len(missed)} missed", *missed])
    print(told)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
