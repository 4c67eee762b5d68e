"""Requests a second, as ratios to the least that a server can do, beside other servers.

All servers run at once and all but one are idle; each workload goes to one after the other, and the
whole is repeated. A ratio compares two samples of one round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from bench import workload
from bench.figures import Figure
from bench.kernels import CLOVE, COMPILED, ECHO, compiled_kernel, one_kernel, servers
from bench.peers import found
from bench.plan import Plan
from bench.servers import Unavailable, workplace
from bench.workload import Sample, Server, Workload

__all__ = ["against_redis", "requests"]

BARS = {
    workload.NOOP_1.name: 0.95,
    workload.NOOP_64.name: 0.60,
    workload.NOOP_256.name: 0.86,
    workload.PIPELINED.name: 0.30,
    workload.STORE_FETCH.name: 0.27,
    workload.MAIL_1.name: 20.0 / 57.8,
    workload.MAIL_64.name: 90.0 / 57.8,
}
"""The least that Clove's rate may be, as a ratio to the C echo's of the same run.

Mail is compared with its NOOP on one connection, which was 57.8 thousand a second when 20 and 90
thousand messages were asked for.
"""
COMPILED_BARS = {**BARS, workload.PIPELINED.name: 1.0}
"""The same for a kernel with the compiled part."""
NOOPS = [workload.NOOP_1, workload.NOOP_64, workload.NOOP_256, workload.PIPELINED]
PEER_ROUNDS = 3
REDIS_SET = Workload(
    "SET, 64 connections",
    64,
    payload='*3\r\n$3\r\nSET\r\n$2\r\nk1\r\n$34\r\n{"n":1,"text":"0123456789abcdef..."}\r\n',
    protocol="resp",
)
REDIS_GET = replace(
    REDIS_SET, name="GET, 64 connections", payload="*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n"
)
REDIS = {
    workload.STORE: REDIS_SET,
    workload.FETCH: REDIS_GET,
    workload.STORE_FETCH: REDIS_SET,
}
"""What Redis is asked beside each of the kernel's loads."""


@dataclass
class Series:
    """The samples of one server under one workload.

    @ivar ratios: to the reference of the same round.
    """

    samples: list[Sample] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    disturbed: int = 0

    def add(self, sample: Sample, reference: Sample, noisy: bool) -> None:
        """One more."""
        self.samples.append(sample)
        self.ratios.append(sample.rate / reference.rate)
        self.disturbed += noisy

    def median(self, of: Callable[[Sample], float]) -> float:
        """Of the samples."""
        return statistics.median(map(of, self.samples))

    def details(self) -> dict[str, float]:
        """The numbers behind a ratio."""
        return {
            "per second": self.median(lambda one: one.rate),
            "p50 us": self.median(lambda one: one.p50),
            "p99 us": self.median(lambda one: one.p99),
            "CPU us": self.median(lambda one: one.cpu),
        }


def requests(plan: Plan) -> Iterator[Figure]:
    """NOOPs, state and mail, on kernels and peers."""
    table: dict[tuple[str, str], Series] = {}
    tails: dict[str, Series] = {}
    with workplace() as directory, servers(plan, directory) as (echo, ours, peers):
        for at in range(plan.rounds):
            for load in workload.WORKLOADS:
                reference, noisy = plan.load(workload.NOOP_1 if load.batch else load, echo)
                tails.setdefault(load.name, Series()).add(reference, reference, noisy)
                for server in [*ours, *(peers if load in NOOPS and at < PEER_ROUNDS else [])]:
                    sample, also = plan.load(load, server)
                    series = table.setdefault((load.name, server.name), Series())
                    series.add(sample, reference, noisy or also)
    for (name, server_name), series in table.items():
        bars = {CLOVE: BARS, COMPILED: COMPILED_BARS}.get(server_name, {})
        yield _figure(name, server_name, series, bars.get(name))
    for load in workload.WORKLOADS:
        yield _figure(load.name, ECHO, tails[load.name], None)
    yield from _tails(table, tails)
    for find in (*found.ECHOES, found.compiled_twistd):
        try:
            find()
        except Unavailable as error:
            yield Figure("not measured", None, "", note=str(error))


def _figure(name: str, server: str, series: Series, bar: float | None) -> Figure:
    return Figure.of(
        f"{name}: {server} / {ECHO}",
        series.ratios,
        bar=bar,
        at_least=True,
        disturbed=series.disturbed,
        details=series.details(),
    )


def _tails(table: dict[tuple[str, str], Series], tails: dict[str, Series]) -> Iterator[Figure]:
    """The 99th percentile against the median, where 64 clients ask at once."""
    for load in (workload.NOOP_64, workload.STORE_FETCH):
        for server, series, bar in (
            (CLOVE, table[load.name, CLOVE], 3.0),
            (ECHO, tails[load.name], None),
        ):
            yield Figure.of(
                f"{load.name}: {server}, p99 / median",
                [one.p99 / one.p50 for one in series.samples],
                bar=bar,
                disturbed=series.disturbed,
            )


def against_redis(plan: Plan) -> Iterator[Figure]:
    """STORE and FETCH beside Redis's SET and GET, each on one processor, 64 connections.

    @raise Unavailable: Redis is not there.
    """
    peer = found.redis()
    table: dict[tuple[str, Workload], Series] = {}
    theirs: dict[Workload, Series] = {load: Series() for load in REDIS}
    with ExitStack() as stack:
        directory = stack.enter_context(workplace())
        pin = stack.enter_context(plan.pinned())
        redis = Server(peer.name, *stack.enter_context(found.serving(peer, directory)))
        ours = [stack.enter_context(one_kernel(directory))]
        with suppress(Unavailable):
            ours.append(stack.enter_context(compiled_kernel(directory)))
        pin(redis, *ours)
        for _ in range(plan.rounds):
            for load, asked in REDIS.items():
                reference, noisy = plan.load(asked, redis)
                theirs[load].add(reference, reference, noisy)
                for server in ours:
                    sample, also = plan.load(load, server)
                    series = table.setdefault((server.name, load), Series())
                    series.add(sample, reference, noisy or also)
    for (name, load), series in table.items():
        details = {f"{name}, {key}": one for key, one in series.details().items()}
        details |= {f"Redis, {key}": one for key, one in theirs[load].details().items()}
        yield Figure.of(
            f"{load.name}: {name} / Redis's {REDIS[load].name.partition(',')[0]}",
            series.ratios,
            bar=1.0 if name == COMPILED and load is workload.STORE_FETCH else None,
            at_least=True,
            disturbed=series.disturbed,
            details=details,
        )
