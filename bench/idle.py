"""What kernels use while little or nothing is asked of them, with and without their polling before they sleep."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from bench.figures import Figure
from bench.kernels import CLOVE, kernels
from bench.plan import Plan
from bench.servers import cpu_nanoseconds, workplace
from bench.workload import NOOP_1, Server

__all__ = ["idle", "idle_percent"]

SECONDS = 2.0
BAR = 1.0
RATES = (1_000, 10_000)
"""NOOPs a second, at random moments, on one connection."""


def idle(plan: Plan) -> Iterator[Figure]:
    """Processor time with no connection, and for a request where they are few."""
    with workplace() as directory, plan.pinned() as pin, kernels(directory) as servers:
        pin(*servers)
        for server in servers:
            percents = [
                idle_percent(plan, server, f"idle: {server.name}")
                for _ in range(min(plan.rounds, 3))
            ]
            yield Figure.of(
                f"{server.name}: processor time with nothing connected",
                percents,
                "%",
                BAR if server.name == CLOVE else None,
            )
        for rate in RATES:
            load = replace(NOOP_1, rate=float(rate), name=f"{rate:,} NOOPs a second")
            for server in servers:
                samples = [plan.load(load, server) for _ in range(min(plan.rounds, 3))]
                yield Figure.of(
                    f"{server.name}: processor time a request at {rate:,} a second",
                    [sample.cpu for sample, _ in samples],
                    "us",
                    disturbed=sum(noisy for _, noisy in samples),
                    details={"p50 us": min(sample.p50 for sample, _ in samples)},
                )


def idle_percent(plan: Plan, server: Server, what: str) -> float:
    """Percent of a processor that a kernel uses that gets no request."""
    seconds = SECONDS if not plan.smoke else 0.2
    time.sleep(seconds / 4)  # what has just ended is put away first

    def watch() -> float:
        before = cpu_nanoseconds(server.pid)
        time.sleep(seconds)
        return (cpu_nanoseconds(server.pid) - before) / seconds / 1e7

    return plan.sample(what, watch)[0]
