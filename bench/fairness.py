"""What one client's flood costs another: the latency of NOOPs every few milliseconds, in peace and beside it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from bench.figures import Figure, Spread
from bench.kernels import ECHO, one_kernel
from bench.latency import measure_latency
from bench.peers import found
from bench.plan import Plan
from bench.servers import workplace
from bench.workload import NOOP_64, PIPELINED, VALUE, Server, Workload

__all__ = ["fairness"]

BAR = 3.0
FLOODS = [
    replace(PIPELINED, name="NOOPs, 64 pipelined", window=True),
    replace(PIPELINED, name="STOREs, 64 pipelined", payload=VALUE, opcodes="0x30", window=True),
    replace(NOOP_64, name="NOOPs on 64 connections"),
]
SETTLE = 0.3
"""Seconds for which a flood runs before the other client is measured."""


def fairness(plan: Plan) -> Iterator[Figure]:
    """Each flood, on a kernel and on the C echo, which serves whoever comes first."""
    seconds = plan.seconds * 2
    with ExitStack() as stack:
        directory = stack.enter_context(workplace())
        pin = stack.enter_context(plan.pinned())
        server = stack.enter_context(one_kernel(directory))
        peer = found.Peer(ECHO, [str(plan.tools["echo_ref"])])
        echo = Server(ECHO, *stack.enter_context(found.serving(peer, directory)))
        pin(server, echo)
        for flood in FLOODS:
            for asked in (server,) if flood.payload == VALUE else (server, echo):
                yield _felt(plan, asked, flood, seconds)


def _felt(plan: Plan, server: Server, flood: Workload, seconds: float) -> Figure:
    """The medians' ratio."""
    ratios, peaces, besides = [], [], []
    disturbed = 0
    for _ in range(min(plan.rounds, 3)):
        peace, noisy = plan.sample(f"{server.name} in peace", lambda: _latency(server, seconds / 2))
        beside, also = plan.sample(
            f"{server.name} beside {flood.name}",
            lambda: _beside(plan, server, flood, seconds),
        )
        peaces.append(peace)
        besides.append(beside)
        ratios.append(beside.p50 / peace.p50)
        disturbed += noisy or also
    return Figure.of(
        f"a flood of {flood.name}, {server.name}: another client's median latency",
        ratios,
        "times",
        BAR if server.name != ECHO else None,
        disturbed=disturbed,
        details={
            "p50 us in peace": min(one.p50 for one in peaces),
            "p50 us beside it": min(one.p50 for one in besides),
            "p99 us beside it": min(one.p99 for one in besides),
        },
    )


def _latency(server: Server, seconds: float) -> Spread:
    with measure_latency(server.path) as times:
        time.sleep(seconds)
    return Spread.of(times)


def _beside(plan: Plan, server: Server, flood: Workload, seconds: float) -> Spread:
    with _flooding(plan, server, flood, seconds + 5):
        time.sleep(SETTLE)
        return _latency(server, seconds)


@contextmanager
def _flooding(plan: Plan, server: Server, flood: Workload, seconds: float) -> Iterator[None]:
    """Have a flood in the block, below the other client where both want the load's processor."""
    command = ["nice", "-n", "10", *flood.command(plan.tools, server.path, seconds)]
    env = {**os.environ, **flood.variables()}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env) as process:
        try:
            yield
        finally:
            process.terminate()
