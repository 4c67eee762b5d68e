"""A client that measures NOOPs, one every few milliseconds, until its standard input ends.

`python -m bench.latency SOCKET`: prints microseconds of each round trip, as JSON.
It is a process of its own: in the bench's, the interpreter lock would delay it.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.wire import Client

__all__ = ["measure_latency"]

PAUSE = 0.002
"""Seconds between two requests."""


@contextmanager
def measure_latency(path: str) -> Iterator[list[float]]:
    """Measure while the block runs; the list (microseconds) is filled when it has ended."""
    found: list[float] = []
    command = [sys.executable, "-m", "bench.latency", path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield found
        found += json.loads(process.communicate()[0])


def main() -> None:
    """Measure and print."""
    client = Client(sys.argv[1])
    client.round_trips(0.1)
    print("ready", flush=True)
    times = []
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        times.append(client.round_trip())
    client.close()
    print(json.dumps(times))


if __name__ == "__main__":
    main()
