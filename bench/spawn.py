"""How fast sandboxed agents start and end, what they cost and leave, with bars beside it.

`python -m bench.spawn [--json] [--rounds N] [--thousand] [--smoke]`

A first reply is measured from SPAWN (or bubblewrap's start) to the moment when the
agent, a script with the blocking client, has the reply to its first NOOP: it reads
the clock then and mails that. So interpreter, imports, connection and HELLO count,
on every way; the mail does not. Ways are taken in turn, so that whatever else the
machine does meets all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.figures import Figure
from bench.kin import adopt_orphans
from bench.life import ends, first_replies, many, memory, starts_at_once
from bench.outward import HOSTS, egress
from bench.scene import Bubblewrap, Clove, Failed, Scene, Way, scene
from bench.servers import Unavailable, workplace
from bench.upstream import upstream

__all__ = ["main"]

SETTINGS = f"""
[limits.agents]
remembered = 50
[limits.audit]
max_entries = 100
{HOSTS}"""
"""What the kernel keeps of ended agents is full after a few, so that leaks can be seen."""
NO_WARM = "this kernel has no warm start"


@dataclass(frozen=True)
class Amounts:
    """How much of everything.

    @ivar rounds: starts each way, and ends.
    @ivar at_once: agents started together.
    @ivar idle: agents among which the memory of one is measured.
    @ivar row: starts in a row to look for leaks; 0: none.
    @ivar carried: bytes through the gateway at a time.
    @ivar carries: how often.
    """

    rounds: int = 100
    at_once: int = 50
    idle: int = 20
    row: int = 0
    carried: int = 1 << 30
    carries: int = 5


SMOKE = Amounts(rounds=3, at_once=4, idle=4, carried=16 << 20, carries=1)


def run(amounts: Amounts) -> tuple[list[Figure], list[str]]:
    """Everything; the figures, and leaks in words.

    @raise Unavailable: the kernel does not come up.
    @raise Failed: it does not do what is asked.
    """
    adopt_orphans()
    console = Console(stderr=True)
    with (
        workplace() as place,
        scene(place, SETTINGS) as here,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task("measuring", total=amounts.rounds + amounts.row + 5)

        def step() -> None:
            progress.advance(task)

        cold = Clove(here, False)
        usual = Clove(here, True) if here.warm else cold
        ours = [usual] if usual is cold else [usual, cold]
        figures, bubblewrap = _others(here, place)
        figures += first_replies(here, [*ours, *bubblewrap], amounts.rounds, step)
        for way in ours:
            figures += starts_at_once(here, way, amounts.at_once)
            step()
        figures += ends(here, usual, amounts.rounds)
        step()
        for way in ours:
            figures += _memory(here, way, amounts.idle)
            step()
        words: list[str] = []
        if amounts.row:
            found, words = _many(here, usual, amounts.row, step)
            figures += found
        with upstream() as port:
            figures += egress(here, port, amounts.carries, amounts.carried)
    return figures, words


def _others(here: Scene, place: Path) -> tuple[list[Figure], list[Way]]:
    """What to compare with, and what is to be said of what is missing."""
    figures = [] if here.warm else [Figure("first reply, warm, p50", None, note=NO_WARM)]
    try:
        return figures, [Bubblewrap(here, place)]
    except Unavailable as error:
        return [*figures, Figure("first reply, bubblewrap, p50", None, note=str(error))], []


def _memory(here: Scene, way: Clove, more: int) -> list[Figure]:
    try:
        return memory(here, way, more)
    except Unavailable as error:
        return [Figure(f"one more idle agent, {way.name}, PSS", None, "MB", note=str(error))]


def _many(
    here: Scene, way: Clove, count: int, step: Callable[[], None]
) -> tuple[list[Figure], list[str]]:
    try:
        return many(here, way, count, step)
    except Unavailable as error:
        return [Figure(f"{count} in a row, {way.name}: leaks", None, "", note=str(error))], []


def show(figures: list[Figure], load: float) -> None:
    """The table.

    @param load: of the machine beforehand; the figures mean little if it was busy.
    """
    caption = f"{os.cpu_count()} processors, load {load:.2f} before it began"
    table = Table(title="Sandboxes: starts, ends, memory, the way out", caption=caption)
    for heading in ("what", "measured", "bar", "", "note"):
        justify = "right" if heading in ("measured", "bar") else "left"
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for figure in figures:
        verdict = {True: "kept", False: "missed", None: ""}[figure.holds]
        bar = "" if figure.bar is None else f"{figure.bar:g} {figure.unit}"
        table.add_row(figure.name, _number(figure), bar, verdict, figure.note)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def _number(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    whole = isinstance(figure.value, int)
    return f"{figure.value:,d}" if whole else f"{figure.value:.2f} {figure.unit}"


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when something needed is missing or was left behind."""
    parser = argparse.ArgumentParser(prog="bench.spawn", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print records, not a table")
    parser.add_argument("--rounds", type=int, default=100, help="starts each way, and ends (100)")
    parser.add_argument("--thousand", action="store_true", help="also a thousand in a row: leaks?")
    parser.add_argument("--smoke", action="store_true", help="few of everything")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    amounts = SMOKE if options.smoke else Amounts(rounds=options.rounds)
    try:
        figures, words = run(replace(amounts, row=1000 if options.thousand else 0))
    except (Unavailable, Failed) as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": load}
        records = [figure.record() for figure in figures]
        print(json.dumps({"machine": machine, "records": records}, indent=2))
    else:
        show(figures, load)
    for leak in words:
        print(f"left behind: {leak}", file=sys.stderr)
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
