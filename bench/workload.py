"""What the load tools of bench/tools do to a server, and what they print."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.servers import cpu_nanoseconds

__all__ = ["VALUE", "WARM_SECONDS", "WORKLOADS", "Sample", "Server", "Workload", "measure", "take"]

VALUE = '{"key":"k%c","value":{"n":1,"text":"0123456789abcdef"}}'
KEY = '{"key":"k%c"}'
WARM_SECONDS = 0.2
"""Load before what counts."""
TRIES = 4
LONGER = 4
"""Times as long as the try before, in which no reply came."""


@dataclass(frozen=True)
class Server:
    """Something that listens on a Unix socket, in one process."""

    name: str
    path: str
    pid: int


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    @ivar batch: for `mbox`: messages at once; 0: `loadgen` it is.
    @ivar protocol: `resp` is Redis's, 2 the second version of the kernel's.
    @ivar rate: requests a second; 0: as many as are answered.
    @ivar window: a new request for each reply, not batch by batch.
    """

    name: str
    connections: int = 1
    pipeline: int = 1
    payload: str = "32"
    opcodes: str = "0x00"
    batch: int = 0
    protocol: str = "1"
    rate: float = 0.0
    window: bool = False

    def command(self, tools: dict[str, Path], path: str, seconds: float) -> list[str]:
        """The load tool's command line."""
        if self.batch:
            return [str(tools["mbox"]), path, str(seconds), str(self.batch)]
        numbers = [str(self.connections), str(seconds), str(self.pipeline)]
        return [str(tools["loadgen"]), path, *numbers, self.payload, self.opcodes]

    def variables(self, warm: float = WARM_SECONDS) -> dict[str, str]:
        """The load tool's environment, beside ours.

        @param warm: seconds of load before what counts.
        """
        given = {"LOADGEN_WARMUP": str(warm), "LOADGEN_PROTOCOL": self.protocol}
        if self.rate:
            given["LOADGEN_RATE"] = str(self.rate)
        if self.window:
            given["LOADGEN_MODE"] = "window"
        return given


NOOP_1 = Workload("NOOP, 1 connection")
NOOP_64 = Workload("NOOP, 64 connections", 64)
NOOP_256 = Workload("NOOP, 256 connections", 256)
PIPELINED = Workload("NOOP, 1 connection, 64 pipelined", pipeline=64)
STORE = Workload("STORE, 64 connections", 64, 1, VALUE, "0x30")
FETCH = Workload("FETCH, 64 connections", 64, 1, KEY, "0x31")
STORE_FETCH = Workload("STORE and FETCH, 64 connections", 64, 1, f"{VALUE}@@{KEY}", "0x30,0x31")
MAIL_1 = Workload("SEND to RECV, one at a time", batch=1)
MAIL_64 = Workload("SEND to RECV, batches of 64", batch=64)
WORKLOADS = [NOOP_1, NOOP_64, NOOP_256, PIPELINED, STORE_FETCH, MAIL_1, MAIL_64]


@dataclass(frozen=True)
class Sample:
    """One run of a load tool.

    @ivar rate: requests (or messages) a second.
    @ivar p50, p99: microseconds of a request (of a cycle of SENDs and RECVs).
    @ivar cpu: microseconds of the server's processor time for each.
    """

    rate: float
    p50: float
    p99: float
    cpu: float = 0.0


class NoReplies(RuntimeError):
    """A load tool got none in its time, and nothing wrong either."""


def measure(command: list[str], variables: dict[str, str] | None = None) -> dict[str, float]:
    """Run a load tool; the numbers that it prints.

    @raise NoReplies: it got none.
    @raise RuntimeError: it failed, or saw wrong replies.
    """
    env = {**os.environ, **(variables or {})}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=env
    )
    pairs = dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)
    numbers = {key: float(text) for key, text in pairs.items() if key != "mode"}
    said = f"{' '.join(command)}: {done.stdout}{done.stderr}"
    if numbers.get("n") == 0 and not (numbers.get("bad_magic") or numbers.get("closed")):
        raise NoReplies(said)
    if done.returncode or numbers.get("bad_opcode"):
        raise RuntimeError(said)
    numbers["rate"] = numbers.get("rps", numbers.get("msgs_per_s", 0.0))
    return numbers


def take(
    tools: dict[str, Path], load: Workload, server: Server, seconds: float, warm: float
) -> Sample:
    """Put a load on a server for a while; for longer where others leave it no processor for so long.

    @raise RuntimeError: see L{measure}.
    """
    for left in reversed(range(TRIES)):
        before = cpu_nanoseconds(server.pid)
        try:
            found = measure(load.command(tools, server.path, seconds), load.variables(warm))
            break
        except NoReplies:
            if not left:
                raise
            seconds *= LONGER
    used = cpu_nanoseconds(server.pid) - before
    loaded = seconds if load.batch else seconds + warm
    p50, p99 = (found.get(f"{key}_us", found.get(f"cycle_{key}_us", 0.0)) for key in ("p50", "p99"))
    return Sample(found["rate"], p50, p99, used / 1e3 / (found["rate"] * loaded))
