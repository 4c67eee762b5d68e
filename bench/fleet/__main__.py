"""What tunnels cost a relay, and how many come back at once.

`python -m bench.fleet [--tunnels N] [--tls]` connects simulated kernels and prints the relay's memory, with the
presence of all, the processor time of a minute in which nothing but pings goes on, and how long it takes to stop; bare Autobahn holds as
many connections in the same run. `--storm` restarts the relay and has all come back in the same moment, while a
client asks the REST API every 20 ms. `--postgresql ADDRESS` has the relay keep its registry in an empty database.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Spread
from bench.fleet.certificate import make_certificate
from bench.fleet.machines import register
from bench.fleet.probe import Probe
from bench.fleet.processes import BareRelay, Relay, Simulator, cpu_seconds, resident_kb
from bench.fleet.tunnels import Job

CONFIG = "[limits.rest]\nrate = 1000\nburst = 1000\n[limits.hub]\nping_seconds = {}\n"
PONGS = 2
"""Pings that each tunnel has answered before its presence is asked for."""
WAIT_SECONDS = 120.0


class Fleet:
    """Simulators, and what they are connected to.

    @param certificate: of the other side; None: no TLS.
    """

    def __init__(
        self,
        port: int,
        count: int,
        processes: int,
        certificate: tuple[Path, Path] | None,
        bare: bool,
    ) -> None:
        share = -(-count // processes)
        self._simulators = [
            Simulator(
                Job(
                    port=port,
                    first=first,
                    count=min(share, count - first),
                    ca_file=str(certificate[0]) if certificate else "",
                    bare=bare,
                )
            )
            for first in range(0, count, share)
        ]
        self._count = count

    def do(self, command: str) -> list[dict[str, object]]:
        """Have all do something; what they say afterwards."""
        for each in self._simulators:
            each.begin(command)
        return [each.answer() for each in self._simulators]

    def fill(self) -> None:
        """Connect all."""
        self.check(self.do("fill"))

    def check(self, facts: list[dict[str, object]]) -> None:
        """@raise SystemExit: not all are connected."""
        if sum(int(str(each["connected"])) for each in facts) != self._count:
            raise SystemExit(f"not all are connected: {facts}")

    def end(self) -> None:
        """Cut all."""
        for each in self._simulators:
            each.end()


@contextlib.contextmanager
def fleet(
    port: int,
    options: argparse.Namespace,
    certificate: tuple[Path, Path] | None,
    *,
    bare: bool = False,
) -> Iterator[Fleet]:
    """Simulators for a port."""
    found = Fleet(port, options.tunnels, options.processes, certificate, bare)
    try:
        yield found
    finally:
        found.end()


@contextlib.contextmanager
def prepared(
    directory: Path, options: argparse.Namespace, certificate: tuple[Path, Path] | None
) -> Iterator[Relay]:
    """A relay that runs and knows all machines."""
    lines = CONFIG.format(options.ping_seconds)
    if options.postgresql:
        lines += f'[store]\npostgresql = "{options.postgresql}"\n'
    relay = Relay(directory, certificate, lines)
    try:
        relay.start()
        relay.stop()
        register(options.postgresql or relay.store, options.tunnels)
        relay.start()
        yield relay
    finally:
        relay.stop()


def shown(name: str, pid: int, before: int, count: int) -> None:
    """A line about memory."""
    after = resident_kb(pid)
    print(
        f"{name}: {before / 1000:.0f} MB before, {after / 1000:.0f} MB with {count} connections, "
        f"{(after - before) / count:.1f} kB each",
        flush=True,
    )


def measure(relay: Relay, tunnels: Fleet, options: argparse.Namespace) -> None:
    """Memory, presence, and what pings cost."""
    before, begun = resident_kb(relay.pid), time.monotonic()
    used = cpu_seconds(relay.pid)
    tunnels.fill()
    spent = time.monotonic() - begun
    used = (cpu_seconds(relay.pid) - used) / options.tunnels * 1000
    print(f"connected in {spent:.1f} s, {used:.2f} ms of the relay's CPU for each", flush=True)
    shown("relay, just now", relay.pid, before, options.tunnels)
    deadline = time.monotonic() + WAIT_SECONDS
    while min(int(str(each["least_pongs"])) for each in tunnels.do("report")) < PONGS:
        if time.monotonic() > deadline:
            raise SystemExit("not all are asked")
        time.sleep(1)
    print(f"presence, after {PONGS} pings through each: {relay.presences()}", flush=True)
    used, begun = cpu_seconds(relay.pid), time.monotonic()
    time.sleep(options.seconds)
    used = (cpu_seconds(relay.pid) - used) / (time.monotonic() - begun)
    print(f"pings alone: {used * 100:.1f}% of one processor", flush=True)
    shown("relay", relay.pid, before, options.tunnels)
    measure_stop(relay)
    say_long_turns(relay)


def measure_stop(relay: Relay) -> None:
    """The relay asks all to leave, and each does at once."""
    begun = time.monotonic()
    relay.stop()
    print(f"stopped in {time.monotonic() - begun:.2f} s, with all that were connected", flush=True)


def say_long_turns(relay: Relay) -> None:
    """How many, and the last ones."""
    turns = relay.long_turns()
    print(f"turns of the reactor that were too long: {len(turns)}", flush=True)
    for each in turns[-3:]:
        print(f"  {each}", flush=True)


def measure_bare(certificate: tuple[Path, Path] | None, options: argparse.Namespace) -> None:
    """The same number of connections, to Autobahn alone."""
    relay = BareRelay(certificate)
    try:
        before = resident_kb(relay.pid)
        with fleet(relay.port, options, certificate, bare=True) as tunnels:
            tunnels.fill()
            shown("bare Autobahn", relay.pid, before, options.tunnels)
    finally:
        relay.stop()


def storm(relay: Relay, tunnels: Fleet, options: argparse.Namespace) -> None:
    """Restart the relay, and have all come back at once."""
    tunnels.fill()
    for _ in range(options.rounds):
        relay.stop()
        relay.start()
        with Probe(relay) as probe:
            facts = tunnels.do("storm")
            tunnels.check(facts)
            time.sleep(1)
        took = Spread.of([each * 1000 for each in probe.times])
        last = max(float(str(each["last_back"])) for each in facts)
        print(
            f"{options.tunnels} at once were back within {last:.2f} s; REST meanwhile: median "
            f"{took.p50:.1f} ms, p99 {took.p99:.0f} ms, longest {took.most:.0f} ms of {len(probe.times)}",
            flush=True,
        )
    say_long_turns(relay)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--tunnels", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2, help="of simulators")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--rounds", type=int, default=3, help="of the storm")
    parser.add_argument("--seconds", type=float, default=60.0, help="in which only pings go on")
    parser.add_argument("--ping-seconds", type=float, default=15.0)
    parser.add_argument("--postgresql", default="", metavar="ADDRESS")
    parser.add_argument("--no-bare", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bf") as name:
        directory = Path(name)
        certificate = make_certificate(directory) if options.tls else None
        with (
            prepared(directory, options, certificate) as relay,
            fleet(relay.port, options, certificate) as tunnels,
        ):
            (storm if options.storm else measure)(relay, tunnels, options)
        if not (options.storm or options.no_bare):
            measure_bare(certificate, options)


if __name__ == "__main__":
    main()
