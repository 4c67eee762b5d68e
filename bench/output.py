"""How fast an agent's output comes out of `clove run`, beside that of a program in bubblewrap.

`python -m bench.output [--json] [--rounds N] [--size MIB] [--smoke]`

Both run `cat` of one file into a pipe, from which another `cat` reads, in turn. A rate is that from
the first byte that arrives to the last, so that it says nothing of how long a start takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.servers import Unavailable, kernel, workplace

__all__ = ["main"]

PIECE = 1 << 16
LEAST = 0.5
"""The ratio of the rates below which it fails."""


def commands(socket: str, file: Path) -> dict[str, list[str]]:
    """What is compared.

    @raise Unavailable: bubblewrap is not installed.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise Unavailable("bubblewrap is not installed (apt-get install bubblewrap)")
    clove = str(Path(sys.executable).with_name("clove"))
    directory = str(file.parent)
    return {
        "clove": [
            clove,
            "--socket",
            socket,
            "run",
            "--dir",
            f"{directory}:ro",
            "--",
            "cat",
            str(file),
        ],
        "bubblewrap": [program, "--ro-bind", "/", "/", "--unshare-all", "--", "cat", str(file)],
    }


def rate(command: list[str], size: int) -> float:
    """Bytes a second, from the first to the last that arrive.

    @raise RuntimeError: not all arrived, or the program failed.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        seen = len(os.read(descriptor, PIECE))
        begun = time.perf_counter()
        while data := os.read(descriptor, PIECE):
            seen += len(data)
        taken = time.perf_counter() - begun
    if seen != size or process.returncode:
        raise RuntimeError(f"{command[0]}: {seen} of {size} bytes, code {process.returncode}")
    return size / taken


def measure(rounds: int, size: int) -> dict[str, list[float]]:
    """The rates of both, in turn."""
    found: dict[str, list[float]] = {}
    with (
        workplace() as directory,
        kernel(directory) as (socket, _),
        tempfile.TemporaryDirectory(prefix="clove-output-") as place,
    ):
        os.chmod(place, 0o755)
        file = Path(place, "data")
        piece = os.urandom(1 << 20)
        with open(file, "wb") as data:
            for _ in range(size >> 20):
                data.write(piece)
        for _ in range(rounds):
            for name, command in commands(socket, file).items():
                found.setdefault(name, []).append(rate(command, size))
    return found


def main() -> int:
    """Measure and print; 1 if Clove is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--smoke", action="store_true", help="in a few seconds, judging nothing")
    asked = parser.parse_args()
    rounds, size = (1, 16 << 20) if asked.smoke else (asked.rounds, asked.size << 20)
    try:
        found = measure(rounds, size)
    except Unavailable as error:
        print(f"bench.output: {error}", file=sys.stderr)
        return 0
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    ratio = medians["clove"] / medians["bubblewrap"]
    if asked.json:
        print(json.dumps({"rates": found, "ratio": ratio}))
    else:
        table = Table("output through a pipe", "MiB/s (median)")
        for name, middle in medians.items():
            table.add_row(name, f"{middle / (1 << 20):.0f}")
        table.add_row("ratio", f"{ratio:.2f}")
        Console().print(table)
    return 0 if asked.smoke or ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
