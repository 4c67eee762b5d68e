"""Version 2 of the protocol, which our own clients speak, beside version 1."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bench.figures import Figure
from bench.kernels import NO_SPIN, one_kernel
from bench.plan import Plan
from bench.servers import cpu_nanoseconds, workplace
from bench.workload import PIPELINED, STORE_FETCH, Sample, Server

__all__ = ["versions"]

WITHIN = 0.15
"""By how much version 2 may be behind."""
OUTSTANDING = 64
THROUGH = "64 outstanding through the Deferred client: the kernel's CPU a request / version 1"


@dataclass
class Pairs:
    """Ratios of the samples of one round.

    @ivar details: of the last one.
    """

    ratios: list[float] = field(default_factory=list)
    disturbed: int = 0
    details: dict[str, float] = field(default_factory=dict)

    def add(self, ratio: float, noisy: bool, **details: float) -> None:
        """One more."""
        self.ratios.append(ratio)
        self.disturbed += noisy
        self.details = {key.replace("_", " "): number for key, number in details.items()}


def versions(plan: Plan) -> Iterator[Figure]:
    """The same load on both versions, and through the Deferred client's connection.

    That client, being Python too, is slower than the kernel: what counts there is the kernel's processor time
    for a request, and for that one that does not poll while it waits for the client.
    """
    loads = (PIPELINED, STORE_FETCH)
    table = {load.name: Pairs() for load in loads}
    through = Pairs()
    with (
        workplace() as directory,
        plan.pinned() as pin,
        one_kernel(directory, settings=NO_SPIN) as server,
    ):
        pin(server)
        for _ in range(plan.rounds):
            for load in loads:
                first, noisy = plan.load(load, server)
                second, also = plan.load(replace(load, protocol="2"), server)
                table[load.name].add(second.rate / first.rate, noisy or also)
                if load is PIPELINED:
                    sample, also = plan.sample("Deferred", lambda: _through_client(plan, server))
                    details = {"per_second": sample.rate, "CPU_us": sample.cpu}
                    through.add(sample.cpu / first.cpu, noisy or also, **details)
    for name, pairs in table.items():
        yield Figure.of(
            f"{name}: version 2 / version 1",
            pairs.ratios,
            bar=1 - WITHIN,
            at_least=True,
            disturbed=pairs.disturbed,
        )
    yield Figure.of(
        THROUGH,
        through.ratios,
        bar=1 + WITHIN,
        disturbed=through.disturbed,
        details=through.details,
    )


def _through_client(plan: Plan, server: Server) -> Sample:
    """Its rate, and what the kernel used."""
    command = [sys.executable, "-m", "bench.deferred_load", server.path]
    command += [str(plan.seconds), str(OUTSTANDING)]
    before = cpu_nanoseconds(server.pid)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    used = cpu_nanoseconds(server.pid) - before
    answered = json.loads(done.stdout)["answered"]
    return Sample(answered / plan.seconds, 0.0, 0.0, used / 1e3 / answered)
