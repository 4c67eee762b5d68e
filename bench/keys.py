"""What a STORE costs as keys become more: of new keys, at random places of their order."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

from bench.figures import Curve, Figure, Line, Point
from bench.fixture import Failed
from bench.fleet.processes import resident_kb
from bench.kernels import NO_SPIN, one_kernel
from bench.plan import Plan
from bench.servers import cpu_nanoseconds, workplace
from bench.workload import Server
from clove.framing import FrameDecoder, Opcode, encode

__all__ = ["keys"]

COUNTS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
BAR = 1.5
MEASURED = 4_000
"""STOREs in one sample; their keys are deleted again before the next."""
SETTINGS = f"""
[limits.state]
max_keys = {4 * COUNTS[-1]}
max_agent_keys = {2 * COUNTS[-1]}
max_agent_bytes = {1 << 30}
max_bytes = {2 << 30}
[limits.shares]
family = 1.0
"""
WINDOW = 64
"""Requests on their way at a time."""


class Writer:
    """A connection that stores and deletes many keys, pipelined."""

    def __init__(self, server: Server) -> None:
        self._pid = server.pid
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(server.path)
        self._decoder = FrameDecoder(1 << 20)

    def ask(self, frames: list[bytes]) -> float:
        """Send all, so many at a time; seconds of processor time that the kernel took.

        @raise Failed: the kernel refused one.
        """
        began = cpu_nanoseconds(self._pid)
        for at in range(0, len(frames), WINDOW):
            batch = frames[at : at + WINDOW]
            self._socket.sendall(b"".join(batch))
            left = len(batch)
            while left:
                replies = self._decoder.feed(self._socket.recv(1 << 18))
                left -= len(replies)
                for reply in replies:
                    if b'"success":true' not in reply.payload:
                        raise Failed(reply.payload.decode())
        return (cpu_nanoseconds(self._pid) - began) / 1e9

    def sample(self, count: int) -> float:
        """Microseconds of a STORE, with so many of them; their keys are gone afterwards."""
        names = _names(count)
        took = self.ask(_stores(names))
        self.ask([encode(0, Opcode.DELETE, b'{"key":"%s"}' % name) for name in names])
        return took / count * 1e6

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _names(count: int) -> list[bytes]:
    return [os.urandom(8).hex().encode() for _ in range(count)]


def _stores(names: list[bytes]) -> list[bytes]:
    return [encode(0, Opcode.STORE, b'{"key":"%s","value":1}' % name) for name in names]


def keys(plan: Plan) -> Iterator[Figure | Curve]:
    """STOREs with few and with many keys there."""
    counts = COUNTS if not plan.smoke else (500, 1000)
    points: list[Point] = []
    disturbed = 0
    with (
        workplace() as directory,
        plan.pinned() as pin,
        one_kernel(directory, settings=SETTINGS + NO_SPIN) as server,
    ):
        pin(server)
        writer = Writer(server)
        empty = resident_kb(server.pid)
        for before, count in zip((0, *counts), counts, strict=False):
            plan.say(f"STORE of {count - before:,} keys")
            writer.ask(_stores(_names(count - before)))
            samples, noisy = _samples(plan, writer, f"STORE beside {count:,} keys")
            points.append(Point.of(count, samples))
            disturbed += noisy
        writer.close()
        each = (resident_kb(server.pid) - empty) * 1024 / counts[-1]
    lines = [Line("Clove", points)]
    title = "Growth with keys: STORE of a new key at a random place"
    yield Curve("growth-keys", title, "keys", "us of processor time a STORE", lines, log_x=True)
    yield _figure(points[0], points[-1], plan.rounds, disturbed)
    yield Figure(f"each of {counts[-1]:,} keys with a small value: memory", each, "bytes")


def _samples(plan: Plan, writer: Writer, what: str) -> tuple[list[float], int]:
    """Some, and how many of them others disturbed."""
    count = MEASURED if not plan.smoke else 200
    taken = [plan.sample(what, lambda: writer.sample(count)) for _ in range(plan.rounds)]
    return [sample for sample, _ in taken], sum(noisy for _, noisy in taken)


def _figure(few: Point, many: Point, samples: int, disturbed: int) -> Figure:
    return Figure(
        f"STORE with {many.x:,} keys / with {few.x:,}",
        many.y / few.y,
        "",
        BAR,
        low=many.low / few.high,
        high=many.high / few.low,
        samples=samples,
        disturbed=disturbed,
        details={"us with few": few.y, "us with many": many.y},
    )
