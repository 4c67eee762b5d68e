"""How fast the kernel answers, as ratios to the least that a server can do.

`python -m bench.run [--json] [--rounds N] [--seconds S] [--pin] [--smoke] [--tools DIR]`

Both servers run at once, one of them idle; each workload goes to the one and
then to the other, and the whole is repeated. A ratio compares two measurements
that lie a second apart, so that a busy machine disturbs both.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.servers import TOOLS, Unavailable, build, echo_server, kernel, workplace

__all__ = ["main"]

VALUE = '{"key":"k%c","value":{"n":1,"text":"0123456789abcdef"}}'


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    @ivar batch: for `mbox`: messages at once; 0: `loadgen` it is.
    """

    name: str
    connections: int = 1
    pipeline: int = 1
    payload: str = "32"
    opcodes: str = "0x00"
    batch: int = 0

    def command(self, tools: dict[str, Path], path: str, seconds: float) -> list[str]:
        """The load tool's command line."""
        if self.batch:
            return [str(tools["mbox"]), path, str(seconds), str(self.batch)]
        numbers = [str(self.connections), str(seconds), str(self.pipeline)]
        return [str(tools["loadgen"]), path, *numbers, self.payload, self.opcodes]


WORKLOADS = [
    Workload("NOOP, 1 connection"),
    Workload("NOOP, 64 connections", 64),
    Workload("NOOP, 256 connections", 256),
    Workload("NOOP, 1 connection, 64 pipelined", pipeline=64),
    Workload("STORE and FETCH, 64 connections", 64, 1, VALUE + '@@{"key":"k%c"}', "0x30,0x31"),
    Workload("SEND to RECV, one at a time", batch=1),
    Workload("SEND to RECV, batches of 64", batch=64),
]


def measure(command: list[str]) -> dict[str, float]:
    """Run a load tool; the numbers that it prints.

    @raise RuntimeError: it failed, or saw wrong replies.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    pairs = dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
    numbers = {key: float(text) for key, text in pairs.items() if key != "mode"}
    if done.returncode or numbers.get("bad_opcode"):
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    numbers["rate"] = numbers.get("rps", numbers.get("msgs_per_s", 0.0))
    return numbers


def _stay_on(cpu: int | None) -> None:
    """Run this process, and what it starts from now on, on one processor."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def run(
    tools: dict[str, Path], rounds: int, seconds: float, pin: bool = False
) -> list[dict[str, Any]]:
    """All workloads, in turn on both servers, repeated; one record for each workload.

    @param pin: servers on one processor and load on another. Without it the
        scheduler may put both ends of a single connection on the same one, where a
        round trip takes a fraction of the time.
    """
    processors = sorted(os.sched_getaffinity(0))
    servers_on, load_on = (processors[0], processors[-1]) if pin else (None, None)
    _stay_on(servers_on)
    seen: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {}
    console = Console(stderr=True)
    with (
        workplace() as directory,
        echo_server(tools["echo_ref"], directory) as echo,
        kernel(directory) as (clove, _),
        Progress(console=console, transient=True) as progress,
    ):
        _stay_on(load_on)
        task = progress.add_task("measuring", total=rounds * len(WORKLOADS))
        for _ in range(rounds):
            for load in WORKLOADS:
                reference = Workload("ceiling", pipeline=load.batch) if load.batch else load
                ceiling = measure(reference.command(tools, echo, seconds))
                ours = measure(load.command(tools, clove, seconds))
                seen.setdefault(load.name, []).append((ceiling, ours))
                progress.advance(task)
    return [_record(name, pairs) for name, pairs in seen.items()]


def _record(name: str, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
    ratios = [ours["rate"] / ceiling["rate"] for ceiling, ours in pairs]
    ours = [one for _, one in pairs]

    def median(*keys: str) -> float:
        return statistics.median(next(one[key] for key in keys if key in one) for one in ours)

    return {
        "workload": name,
        "ceiling_per_s": statistics.median(ceiling["rate"] for ceiling, _ in pairs),
        "clove_per_s": median("rate"),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "p50_us": median("p50_us", "cycle_p50_us"),
        "p99_us": median("p99_us", "cycle_p99_us"),
    }


def show(records: list[dict[str, Any]]) -> None:
    """The table."""
    table = Table(title="Requests a second: the reference server, Clove, and their ratio")
    for heading in ("workload", "ceiling/s", "Clove/s", "ratio", "from - to", "p50 us", "p99 us"):
        table.add_column(heading, justify="left" if heading == "workload" else "right")
    for record in records:
        table.add_row(
            record["workload"],
            f"{record['ceiling_per_s']:,.0f}",
            f"{record['clove_per_s']:,.0f}",
            f"{record['ratio']:.3f}",
            f"{min(record['ratios']):.3f} - {max(record['ratios']):.3f}",
            f"{record['p50_us']:,.0f}",
            f"{record['p99_us']:,.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    print("SEND to RECV is compared with the reference's NOOP on one connection, pipelined alike.")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when something needed is missing."""
    parser = argparse.ArgumentParser(prog="bench.run", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print records, not a table")
    parser.add_argument("--rounds", type=int, default=5, help="how often all is repeated (5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="for one measurement (1.5)")
    parser.add_argument("--pin", action="store_true", help="servers and load each on one processor")
    parser.add_argument("--smoke", action="store_true", help="one short round")
    parser.add_argument("--tools", type=Path, default=TOOLS, help="directory of the C sources")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.rounds, options.seconds = 1, 0.2
    try:
        with workplace() as directory:
            tools = build(options.tools, None if options.tools == TOOLS else directory)
            records = run(tools, options.rounds, options.seconds, options.pin)
    except Unavailable as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return 1
    if options.json:
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        print(json.dumps({"machine": machine, "records": records}, indent=2))
    else:
        show(records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
