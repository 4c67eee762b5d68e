"""A client that makes a NOOP now and then until its standard input ends.

`python -m bench.pulse SOCKET`: prints microseconds of each round trip, as JSON.
A process of its own, so that the bench's interpreter does not make it wait.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.wire import Client

__all__ = ["pulse"]

PAUSE = 0.002
"""Seconds between two."""


@contextmanager
def pulse(path: str) -> Iterator[list[float]]:
    """Have one run beside the block; the list is filled when that has ended."""
    found: list[float] = []
    command = [sys.executable, "-m", "bench.pulse", path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield found
        found += json.loads(process.communicate()[0])


def main() -> None:
    """Beat."""
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
