"""Latency against load, and throughput against connections: the pictures of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.figures import Curve, Line, Point
from bench.kernels import BEFORE, servers
from bench.plan import Plan
from bench.servers import workplace
from bench.workload import NOOP_1, NOOP_64, STORE_FETCH, Sample, Server, Workload

__all__ = ["load_curves"]

SHARES = (0.05, 0.3, 0.6, 0.9)
"""Loads at which latency is measured, as fractions of what 64 connections get at most."""
LEAST = 50
"""Requests of one sample of latency, at least."""
CONNECTIONS = (1, 8, 64, 256, 1024)


def load_curves(plan: Plan) -> Iterator[Curve]:
    """Both."""
    with workplace() as directory, servers(plan, directory) as (echo, ours, peers):
        yield from _latencies(plan, [*ours[:2], echo])
        yield _throughput(plan, [*(one for one in ours if one.name != BEFORE), echo, *peers])


def _latencies(plan: Plan, servers: list[Server]) -> Iterator[Curve]:
    """Of requests at random moments, with NOOP, then of STORE and FETCH for the kernels alone."""
    for load, title in ((NOOP_64, "NOOP"), (STORE_FETCH, "STORE and FETCH")):
        chosen = servers if load is NOOP_64 else servers[:-1]
        word = title.partition(" ")[0].lower()
        lines = []
        for server in chosen:
            most, _ = plan.load(load, server)
            middle, tail = _latency(plan, load, server, most.rate)
            lines += [Line(f"{server.name}, median", middle), Line(f"{server.name}, p99", tail)]
        yield Curve(
            f"latency-{word}",
            f"Latency against load: {title} at random moments on 64 connections",
            "requests a second",
            "microseconds",
            lines,
            log_x=load is NOOP_64,
            log_y=True,
        )


def _latency(
    plan: Plan, load: Workload, server: Server, most: float
) -> tuple[list[Point], list[Point]]:
    """Median and 99th percentile at some loads."""
    points: tuple[list[Point], list[Point]] = ([], [])
    for share in SHARES if not plan.smoke else SHARES[:1]:
        rate = max(most * share, LEAST / plan.seconds)
        paced = replace(load, rate=rate, name=f"{load.name}, {share:.0%} of the most")
        samples: list[Sample] = [plan.load(paced, server)[0] for _ in range(min(plan.rounds, 2))]
        points[0].append(Point.of(rate, [one.p50 for one in samples]))
        points[1].append(Point.of(rate, [one.p99 for one in samples]))
    return points


def _throughput(plan: Plan, servers: list[Server]) -> Curve:
    """Of NOOPs, one outstanding on each connection."""
    found_rates: dict[str, dict[int, list[float]]] = {server.name: {} for server in servers}
    counts = CONNECTIONS if not plan.smoke else CONNECTIONS[:2]
    for _ in range(min(plan.rounds, 2)):
        for count in counts:
            load = replace(NOOP_1, connections=count, name=f"NOOP, {count} connections")
            for server in servers:
                rate = plan.load(load, server)[0].rate
                found_rates[server.name].setdefault(count, []).append(rate)
    return Curve(
        "throughput",
        "Throughput against connections: NOOP, one outstanding on each",
        "connections",
        "requests a second",
        [
            Line(name, [Point.of(count, rates) for count, rates in by_count.items()])
            for name, by_count in found_rates.items()
        ],
        log_x=True,
    )
