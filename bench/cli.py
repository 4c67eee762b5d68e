"""How long the command line takes: `clove --version`, and `clove run -- true` beside bubblewrap's.

`python -m bench.cli [--rounds N] [--json] [--smoke]`

The three alternate, so that other load of the machine affects all of them alike. The bar of a run
is bubblewrap's time with that of `clove --version` and 40 ms, all medians of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from bench.figures import Figure
from bench.servers import kernel, workplace

__all__ = ["main"]

START = 120.0
"""Milliseconds that `clove` may take to start."""
MORE = 40.0
"""Milliseconds that a run may take more than bubblewrap and `clove --version` together."""
CLOVE = str(Path(sys.executable).with_name("clove"))
BUBBLEWRAP = ("--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev")


def milliseconds(command: list[str], env: Mapping[str, str]) -> float:
    """How long a command takes.

    @raise subprocess.CalledProcessError: it fails.
    """
    began = time.perf_counter()
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def measure(socket: str, rounds: int) -> list[Figure]:
    """The figures, against a kernel."""
    env = {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["CLOVE_SOCKET"] = socket
    commands = {
        "version": [CLOVE, "--version"],
        "agent": [CLOVE, "agent", "run", "--help"],
        "run": [CLOVE, "run", "--", "true"],
    }
    program = shutil.which("bwrap")
    if program is not None:
        commands["bubblewrap"] = [program, *BUBBLEWRAP, "true"]
    for command in commands.values():  # so that all is compiled and read
        milliseconds(command, env)
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(milliseconds(command, env))
    medians = {name: statistics.median(values) for name, values in found.items()}
    bar = medians["bubblewrap"] + medians["version"] + MORE if program is not None else None
    return [
        Figure("clove --version", medians["version"], bar=START),
        Figure("clove agent run -h", medians["agent"], bar=START),
        Figure("bwrap true", medians.get("bubblewrap"), note="" if program else "not installed"),
        Figure("clove run -- true", medians["run"], bar=bar),
    ]


def main() -> int:
    """Measure and print; 1 if a bar is not held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--smoke", action="store_true", help="three rounds, no bars")
    asked = parser.parse_args()
    with workplace() as directory, kernel(directory) as (socket, _):
        figures = measure(socket, 3 if asked.smoke else asked.rounds)
    for figure in figures:
        if asked.json:
            print(json.dumps(figure.record()))
        else:
            value = "-" if figure.value is None else f"{figure.value:8.1f} {figure.unit}"
            bar = "" if figure.bar is None else f"  (at most {figure.bar:.1f})"
            print(f"{figure.name:<20}{value}{bar} {figure.note}")
    return int(not asked.smoke and any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
