"""How fast sandboxed agents start and end, their memory and leaks, each with its bar.

`python -m bench.spawn [--json] [--rounds N] [--thousand] [--smoke]`

A first reply is measured from SPAWN (or bubblewrap's start) to the moment when the
agent, a script with the blocking client, has the reply to its first NOOP: it reads
the clock then and mails that. So interpreter, imports, connection and HELLO count,
on every way; the mail does not. The ways alternate, so that other load of the machine
affects all of them alike.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.alone import command, report
from bench.figures import Figure
from bench.fixture import Bubblewrap, Clove, Fixture, Way, running_fixture
from bench.leaks import adopt_orphans
from bench.lifecycle import ends, first_replies, many, memory, starts_at_once
from bench.outward import HOSTS, egress
from bench.servers import Unavailable, workplace
from bench.upstream import upstream

__all__ = ["main"]

SETTINGS = f"""
[limits.agents]
ended = 50
[limits.audit]
max_entries = 100
[access]
other_namespaces = true
{HOSTS}"""
"""What the kernel keeps of ended agents is full after a few, so that leaks can be seen.

Bubblewrap's agent connects to the main socket from namespaces that are not the kernel's.
"""
NO_WARM = "this kernel has no warm start"


@dataclass(frozen=True)
class Amounts:
    """How many of each are measured.

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
    """Measure everything; the figures, and a line about each leak.

    @raise Unavailable: the kernel does not come up.
    @raise Failed: it does not do what is asked.
    """
    adopt_orphans()
    console = Console(stderr=True)
    with (
        workplace() as directory,
        running_fixture(directory, SETTINGS) as fixture,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task("measuring", total=amounts.rounds + amounts.row + 5)

        def step() -> None:
            progress.advance(task)

        cold = Clove(fixture, False)
        usual = Clove(fixture, True) if fixture.warm else cold
        ours = [usual] if usual is cold else [usual, cold]
        figures, bubblewrap = _others(fixture, directory)
        figures += first_replies(fixture, [*ours, *bubblewrap], amounts.rounds, step)
        for way in ours:
            figures += starts_at_once(fixture, way, amounts.at_once)
            step()
        figures += ends(fixture, usual, amounts.rounds)
        step()
        for way in ours:
            figures += _memory(fixture, way, amounts.idle)
            step()
        leaks: list[str] = []
        if amounts.row:
            found, leaks = _many(fixture, usual, amounts.row, step)
            figures += found
        with upstream() as port:
            figures += egress(fixture, port, amounts.carries, amounts.carried)
    return figures, leaks


def _others(fixture: Fixture, directory: Path) -> tuple[list[Figure], list[Way]]:
    """Rows for what cannot be measured here, and bubblewrap if it is installed."""
    figures = [] if fixture.warm else [Figure("first reply, warm, p50", None, note=NO_WARM)]
    try:
        return figures, [Bubblewrap(fixture, directory)]
    except Unavailable as error:
        return [*figures, Figure("first reply, bubblewrap, p50", None, note=str(error))], []


def _memory(fixture: Fixture, way: Clove, more: int) -> list[Figure]:
    try:
        return memory(fixture, way, more)
    except Unavailable as error:
        return [Figure(f"one more idle agent, {way.name}, PSS", None, "MB", note=str(error))]


def _many(
    fixture: Fixture, way: Clove, count: int, step: Callable[[], None]
) -> tuple[list[Figure], list[str]]:
    try:
        return many(fixture, way, count, step)
    except Unavailable as error:
        return [Figure(f"{count} in a row, {way.name}: leaks", None, "", note=str(error))], []


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when something needed is missing or was left behind."""
    parser = command("bench.spawn", __doc__, 100, "starts each way, and ends")
    parser.add_argument("--thousand", action="store_true", help="also a thousand in a row: leaks?")
    options = parser.parse_args(arguments)
    amounts = SMOKE if options.smoke else Amounts(rounds=options.rounds)
    leaks: list[str] = []

    def measure() -> list[Figure]:
        figures, left = run(replace(amounts, row=1000 if options.thousand else 0))
        leaks.extend(left)
        return figures

    title = "Sandboxes: starts, ends, memory, connections out"
    status = report(title, measure, as_json=options.json)
    for leak in leaks:
        print(f"left behind: {leak}", file=sys.stderr)
    return 1 if leaks else status


if __name__ == "__main__":
    sys.exit(main())
