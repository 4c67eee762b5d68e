"""Two hundred tunnels of simulated kernels at one relay: all answer, all come back, and it does not grow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.fleet.certificate import make_certificate
from bench.fleet.machines import register
from bench.fleet.processes import Relay, Simulator, resident_kb
from bench.fleet.tunnels import Job
from tests.waiting import until

TUNNELS = 200
CONFIG = "[limits.hub]\nping_seconds = 1.0\n[limits.rest]\nrate = 1000\n"
MOST_EACH = {False: 20, True: 70}
"""Kilobytes of a tunnel, without TLS and with it: some three times what a thousand take each."""
SLACK = 3000
"""Kilobytes by which the rest of the process may grow."""


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path] | None:
    return make_certificate(tmp_path) if request.param else None


@pytest.fixture
def relay(tmp_path: Path, certificate: tuple[Path, Path] | None) -> Iterator[Relay]:
    relay = Relay(tmp_path, certificate, CONFIG)
    try:
        relay.start()
        relay.stop()
        register(relay.store, TUNNELS)
        relay.start()
        yield relay
    finally:
        relay.stop()


@contextlib.contextmanager
def simulated(relay: Relay, certificate: tuple[Path, Path] | None) -> Iterator[Simulator]:
    ca_file = str(certificate[0]) if certificate else ""
    simulator = Simulator(Job(port=relay.port, first=0, count=TUNNELS, ca_file=ca_file))
    try:
        yield simulator
    finally:
        simulator.end()


def test_all_are_present_and_cost_little(
    relay: Relay, certificate: tuple[Path, Path] | None
) -> None:
    assert relay.presences() == {"disconnected": TUNNELS}
    before = resident_kb(relay.pid)
    with simulated(relay, certificate) as simulator:
        assert simulator.do("fill")["connected"] == TUNNELS
        until(lambda: simulator.do("report")["least_pongs"] >= 2, "all were asked twice")
        until(lambda: relay.presences() == {"connected": TUNNELS}, "all are connected")
        grown = resident_kb(relay.pid) - before
        assert grown < TUNNELS * MOST_EACH[certificate is not None] + SLACK
        full = resident_kb(relay.pid)
        for _ in range(5):
            simulator.do("cut")
            until(lambda: "connected" not in relay.presences(), "the relay knows of all cuts")
            assert simulator.do("fill")["connected"] == TUNNELS
        until(lambda: relay.presences() == {"connected": TUNNELS}, "all are connected")
        assert resident_kb(relay.pid) - full < SLACK
    assert "Traceback" not in relay.log


def test_all_are_back_after_a_restart(relay: Relay, certificate: tuple[Path, Path] | None) -> None:
    with simulated(relay, certificate) as simulator:
        simulator.do("fill")
        relay.stop()
        relay.start()
        assert simulator.do("storm")["connected"] == TUNNELS
        until(lambda: relay.presences() == {"connected": TUNNELS}, "all are connected")
    assert "Traceback" not in relay.log
