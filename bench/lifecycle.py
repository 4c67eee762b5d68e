"""The life cycle of agents, measured: start, end, memory, and what is left behind."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from bench.figures import Figure, Spread
from bench.fixture import Clove, Failed, Fixture, Way
from bench.latency import measure_latency
from bench.leaks import find_leaks, pss_bytes, settled
from bench.wire import Client
from clove.framing import Opcode

__all__ = ["ends", "first_replies", "many", "memory", "starts_at_once"]

START_BAR = 0.2
"""Of bubblewrap's median."""
TAIL_BAR = 3.0
"""The 99th percentile, in medians."""
AT_ONCE_BAR = 1000.0
KILL_BAR = 50.0
MEMORY_BAR = 6.0
Progress = Callable[[], None]


def first_replies(fixture: Fixture, ways: list[Way], rounds: int, step: Progress) -> list[Figure]:
    """From SPAWN to the agent's first reply, each way in turn, each round in another order."""
    found: dict[str, list[float]] = {way.name: [] for way in ways}
    for at in range(rounds):
        for way in ways[at % len(ways) :] + ways[: at % len(ways)]:
            number, took = fixture.first_reply(way)
            found[way.name].append(took)
            way.end(number)
        step()
    spreads = {name: Spread.of(times) for name, times in found.items()}
    figures = []
    for way in ways:
        spread = spreads[way.name]
        figures += spread.figures(f"first reply, {way.name}")
        if isinstance(way, Clove):
            bars = way.name == "warm"
            tail, median = spread.p99 / spread.p50, f"first reply, {way.name}, p99 / p50"
            figures.append(Figure(median, tail, "", TAIL_BAR if bars else None))
            if "bubblewrap" in spreads:
                ratio = spread.p50 / spreads["bubblewrap"].p50
                name = f"first reply, {way.name} / bubblewrap, p50"
                figures.append(Figure(name, ratio, "", START_BAR if bars else None, way.note))
    return figures


def starts_at_once(fixture: Fixture, way: Clove, count: int) -> list[Figure]:
    """Many SPAWNs at once, each on a connection of its own, until every agent had its reply."""
    clients = [Client(fixture.path) for _ in range(count)]
    numbers = [next(fixture.numbers) for _ in clients]
    asked = [json.dumps(way.request(number, "stay")).encode() for number in numbers]
    started = time.time_ns()
    for client, payload in zip(clients, asked, strict=True):
        client.send(Opcode.SPAWN, payload)
    times = [(at - started) / 1e6 for _, at in (fixture.report() for _ in clients)]
    for client in clients:
        way.check(json.loads(client.receive()))
        client.close()
    for number in numbers:
        way.end(number)
    bar = AT_ONCE_BAR if way.name == "warm" else None
    return [Figure(f"{count} at once, {way.name}, until all had replies", max(times), "ms", bar)]


def ends(fixture: Fixture, way: Clove, count: int) -> list[Figure]:
    """KILL of idle agents one after another, and the latency of another client meanwhile."""
    numbers = [fixture.first_reply(way)[0] for _ in range(count)]
    with measure_latency(fixture.path) as peace:
        time.sleep(1)
    times = []
    with measure_latency(fixture.path) as beside:
        for number in numbers:
            started = time.perf_counter()
            way.end(number)
            times.append((time.perf_counter() - started) * 1e3)
    quiet, felt = Spread.of(peace), Spread.of(beside)
    return [
        *Spread.of(times).figures(f"KILL of {count} idle, {way.name}", bar=KILL_BAR),
        Figure("NOOP of another client in peace, p99", quiet.p99 / 1e3),
        Figure("NOOP of another client beside the KILLs, p99", felt.p99 / 1e3),
    ]


def memory(fixture: Fixture, way: Clove, more: int) -> list[Figure]:
    """What one more idle agent adds to all that is ours: init, program, helper, zygote, kernel.

    Pages shared with programs that are not ours (the interpreter's, here the bench
    itself) are divided among those, too.
    """
    numbers = [fixture.first_reply(way)[0] for _ in range(3)]
    before = _steady_pss()
    numbers += [fixture.first_reply(way)[0] for _ in range(more)]
    each = (_steady_pss() - before) / more / 1e6
    for number in numbers:
        way.end(number)
    bar = MEMORY_BAR if way.name == "warm" else None
    return [Figure(f"one more idle agent, {way.name}, PSS", each, "MB", bar)]


def _steady_pss() -> float:
    """The median of some readings, when what has just been said is done."""
    readings = []
    for _ in range(5):
        time.sleep(0.2)
        readings.append(pss_bytes())
    return statistics.median(readings)


def many(
    fixture: Fixture, way: Clove, count: int, step: Progress
) -> tuple[list[Figure], list[str]]:
    """Start and end many, half of them by KILL; what there is more of afterwards.

    @return: also a line about each leak.
    """
    before = settled(fixture.pid, fixture.state, None)
    middle = before
    for at in range(count):
        number, _ = fixture.first_reply(way, "stay" if at % 2 else "go")
        if at % 2:
            way.end(number)
        else:
            reply = fixture.ask(Opcode.WAIT, name=f"bench{number % 100}", timeout=30)
            if reply["exit_code"] != 0:
                raise Failed(f"an agent ended with {reply['exit_code']}")
        if at == count // 2:
            middle = settled(fixture.pid, fixture.state, before)
        step()
    after = settled(fixture.pid, fixture.state, before)
    found = find_leaks(before, middle, after)
    name = f"{count} in a row, {way.name}"
    figures = [Figure(f"{name}: leaks", len(found), "", 0.0, "; ".join(found))]
    for field in before.__dataclass_fields__:
        was, mid, now = (getattr(one, field) for one in (before, middle, after))
        note = f"{was} before, {mid} half-way"
        figures.append(Figure(f"{name}: {field.replace('_', ' ')} after", now, "", None, note))
    return figures, found
