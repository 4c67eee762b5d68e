"""What requests cost as idle connections and idle agents become more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.figures import Curve, Figure, Line, Point
from bench.fixture import Failed
from bench.fleet.processes import resident_kb
from bench.idle import idle_percent
from bench.kernels import ECHO, one_kernel
from bench.peers import found
from bench.plan import Plan
from bench.servers import workplace
from bench.wire import Client
from bench.workload import NOOP_64, Server
from clove.framing import Opcode

__all__ = ["agents", "connections"]

COUNTS = (0, 100, 300, 1000)
BAR = 5.0
"""Percent that agents without anything to do may cost."""
ROUNDS = 3
AGENT = Path(__file__).parent / "inside" / "idle.py"


def connections(plan: Plan) -> Iterator[Figure | Curve]:
    """NOOPs on 64 connections beside connections that do nothing."""
    held: list[Client] = []

    def more(server: Server, count: int) -> None:
        while len(held) < count:
            held.append(Client(server.path))
            held[-1].request(Opcode.REGISTER, name=f"idle{len(held)}")

    try:
        yield from _beside(plan, "connections", more, None)
    finally:
        for client in held:
            client.close()


def agents(plan: Plan) -> Iterator[Figure | Curve]:
    """NOOPs on 64 connections beside agents that do nothing, each in a sandbox and connected."""
    started = 0

    def more(server: Server, count: int) -> None:
        nonlocal started
        client = Client(server.path)
        while started < count:
            started += 1
            reply = client.request(Opcode.SPAWN, name=f"idle{started}", script=str(AGENT))
            if not reply["success"]:
                raise Failed(f"SPAWN: {reply['error']}")
        client.close()

    yield from _beside(plan, "agents", more, BAR)


@contextmanager
def _servers(plan: Plan) -> Iterator[tuple[Server, Server]]:
    """The C echo and a kernel."""
    with ExitStack() as stack:
        directory = stack.enter_context(workplace())
        pin = stack.enter_context(plan.pinned())
        peer = found.Peer(ECHO, [str(plan.tools["echo_ref"])])
        echo = Server(ECHO, *stack.enter_context(found.serving(peer, directory)))
        server = stack.enter_context(one_kernel(directory))
        pin(echo, server)
        yield echo, server


def _beside(
    plan: Plan, what: str, more: Callable[[Server, int], None], bar: float | None
) -> Iterator[Figure | Curve]:
    """The rate as a ratio to the C echo's of the same round, and what the kernel uses doing nothing.

    @param more: has so many of them in all.
    """
    counts = COUNTS if not plan.smoke else (0, 4)
    points: list[Point] = []
    costs: list[float] = []
    disturbed = 0
    with _servers(plan) as (echo, server):
        empty = resident_kb(server.pid)
        for count in counts:
            plan.say(f"{count} idle {what}")
            more(server, count)
            ratios, noisy = _ratios(plan, echo, server)
            disturbed += noisy
            points.append(Point.of(count, ratios))
            if count in (counts[0], counts[-1]):
                costs.append(idle_percent(plan, server, f"{count} idle {what}"))
        each = (resident_kb(server.pid) - empty) / counts[-1]
    yield _curve(what, points)
    few, many = points[0], points[-1]
    name = f"{counts[-1]:,} idle {what}"
    yield Figure(
        f"{name}: NOOPs on 64 connections lose",
        (1 - many.y / few.y) * 100,
        "%",
        bar,
        low=(1 - many.high / few.low) * 100,
        high=(1 - many.low / few.high) * 100,
        samples=min(plan.rounds, ROUNDS),
        disturbed=disturbed,
    )
    details = {"% with none": costs[0]}
    told = f"{name}: processor time of the kernel without a request"
    yield Figure(told, costs[-1], "%", bar, details=details)
    yield Figure(f"{name}: the kernel's memory for each", each, "kB")


def _curve(what: str, points: list[Point]) -> Curve:
    title = f"Growth with idle {what}: NOOP on 64 connections"
    lines = [Line("Clove", points)]
    return Curve(f"growth-{what}", title, f"idle {what}", "ratio to the C echo", lines)


def _ratios(plan: Plan, echo: Server, server: Server) -> tuple[list[float], int]:
    """The kernel's rates to the echo's, and how many of them others disturbed."""
    ratios = []
    disturbed = 0
    for _ in range(min(plan.rounds, ROUNDS)):
        reference, noisy = plan.load(NOOP_64, echo)
        sample, also = plan.load(NOOP_64, server)
        ratios.append(sample.rate / reference.rate)
        disturbed += noisy or also
    return ratios, disturbed
