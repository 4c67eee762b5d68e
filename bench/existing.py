"""The benches that have a command line of their own, as groups of `python -m bench`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bench import cli as cli_bench
from bench import full_tables
from bench import isolation as isolation_bench
from bench import output as output_bench
from bench import relay as relay_bench
from bench import spawn as spawn_bench
from bench import stages as stages_bench
from bench import start as start_bench
from bench import turns as turns_bench
from bench.figures import Figure
from bench.fleet import __main__ as fleet_bench
from bench.fleet.processes import BareRelay, cpu_seconds, resident_kb
from bench.plan import Plan
from bench.servers import kernel, workplace

__all__ = ["cli", "fleet", "isolation", "output", "relay", "spawn", "stages", "start", "turns"]

T = TypeVar("T")
AGENTS_A_ROUND = 300
OUTPUT_BAR = 0.5
OUTPUT_BYTES = 256 << 20
TUNNELS = 300


def _once(plan: Plan, what: str, measurement: Callable[[], T]) -> tuple[T, bool]:
    """These take long, and repeat what they measure themselves."""
    return plan.sample(what, measurement, again=False)


def spawn(plan: Plan) -> Iterator[Figure]:
    """Starts and ends of agents, their memory, connections out."""
    rounds = spawn_bench.Amounts(rounds=10 * plan.rounds, carried=256 << 20, carries=3)
    amounts = spawn_bench.SMOKE if plan.smoke else rounds
    (figures, leaks), _ = _once(plan, "agents", lambda: spawn_bench.run(amounts))
    yield from figures
    if leaks:
        yield Figure("left behind", float(len(leaks)), "", 0.0, "; ".join(leaks))


def start(plan: Plan) -> Iterator[Figure]:
    """A kernel's start, its memory, its first agents."""
    some = start_bench.Amounts(starts=2 * plan.rounds, firsts=min(plan.rounds, 3))
    amounts = start_bench.SMOKE if plan.smoke else some
    yield from _once(plan, "kernels start", lambda: start_bench.run(amounts))[0]


def stages(plan: Plan) -> Iterator[Figure]:
    """Microseconds of each stage of a request after its frame is whole."""
    rounds, before = (3, 1) if plan.smoke else (100 * plan.rounds, 100)
    records, noisy = _once(plan, "stages", lambda: stages_bench.measure(rounds, before))
    for record in records:
        parts = {stage: record[stage] for stage in stages_bench.STAGES if stage != "whole"}
        name = f"{record['case']}: processor time after its frame is whole"
        yield Figure(name, record["whole"], "us", disturbed=int(noisy), details=parts)


def turns(plan: Plan) -> Iterator[Figure]:
    """How long one request holds up all others, where the tables are full."""
    amounts = full_tables.SMOKE
    if not plan.smoke:
        most = full_tables.Amounts(rounds=plan.rounds)
        some = min(most.connections, AGENTS_A_ROUND * plan.rounds)  # they take long to start
        amounts = replace(most, connections=some)
    found, noisy = _once(plan, "full tables", lambda: list(turns_bench.figures(amounts)))
    yield from (replace(figure, disturbed=int(noisy)) for figure in found)


def cli(plan: Plan) -> Iterator[Figure]:
    """The command line's start, and a run."""
    rounds = 1 if plan.smoke else 3 * plan.rounds
    with workplace() as directory, kernel(directory) as (path, _):
        yield from _once(plan, "commands", lambda: cli_bench.measure(path, rounds))[0]


def output(plan: Plan) -> Iterator[Figure]:
    """An agent's output through `clove run`, beside bubblewrap.

    @raise Unavailable: bubblewrap is not installed.
    """
    size = (8 << 20) if plan.smoke else OUTPUT_BYTES
    rates, noisy = _once(plan, "output", lambda: output_bench.measure(plan.rounds, size))
    pairs = zip(rates["clove"], rates["bubblewrap"], strict=True)
    details = {f"{name}, MiB/s": statistics.median(one) / (1 << 20) for name, one in rates.items()}
    yield Figure.of(
        "output through a pipe / bubblewrap",
        [ours / theirs for ours, theirs in pairs],
        bar=OUTPUT_BAR,
        at_least=True,
        disturbed=int(noisy),
        details=details,
    )


def isolation(plan: Plan) -> Iterator[Figure]:
    """What a healthy client feels beside four agents that misbehave."""
    seconds = 0.3 if plan.smoke else 3.0
    found, noisy = _once(plan, "agents that misbehave", lambda: isolation_bench.run(seconds))
    for key, name in (("alone", "in peace"), ("beside", "beside all four")):
        numbers = found[key]
        yield Figure(
            f"NOOP round trip {name}, median",
            numbers["p50_us"],
            "us",
            disturbed=int(noisy),
            details={"p99 us": numbers["p99_us"], "longest us": numbers["max_us"]},
        )
    for name, agent in found["agents"].items():
        if not agent["success"]:
            yield Figure(f"the agent that {name}", None, note=agent["error"])


def relay(plan: Plan) -> Iterator[Figure]:
    """Remote requests through a relay and a tunnel, against two bare hops of Autobahn."""
    yield from relay_bench.figures(plan.rounds, plan.seconds, 4 if plan.smoke else 32)


def fleet(plan: Plan) -> Iterator[Figure]:
    """What a tunnel takes of a relay's memory, against a connection of bare Autobahn."""
    count = 10 if plan.smoke else TUNNELS
    options = argparse.Namespace(tunnels=count, processes=2, ping_seconds=15.0, postgresql="")
    with tempfile.TemporaryDirectory(prefix="bf") as name:
        place = Path(name)
        with (
            fleet_bench.prepared(place, options, None) as ours,
            fleet_bench.fleet(ours.port, options, None) as tunnels,
        ):
            before, used = resident_kb(ours.pid), cpu_seconds(ours.pid)
            tunnels.fill()
            each = (resident_kb(ours.pid) - before) / count
            used = (cpu_seconds(ours.pid) - used) / count * 1e3
    bare = BareRelay(None)
    try:
        before = resident_kb(bare.pid)
        with fleet_bench.fleet(bare.port, options, None, bare=True) as tunnels:
            tunnels.fill()
            least = (resident_kb(bare.pid) - before) / count
    finally:
        bare.stop()
    yield Figure(f"each of {count} tunnels: the relay's memory", each, "kB")
    yield Figure(f"each of {count} connections: bare Autobahn's memory", least, "kB")
    yield Figure("each tunnel: the relay's processor time to let it in", used)
