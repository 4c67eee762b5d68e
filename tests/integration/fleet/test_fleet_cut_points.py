"""Connections that are cut after any number of bytes: each call is executed once, and answered or reported."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.fleet.cutting_proxy import CuttingProxy
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.network_site import Counter
from tests.waiting import until

CUTS = 6
FAR = 1 << 40
"""Bytes that are not reached."""
SEEDS = range(5)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def proxy(fleet: Fleet) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(fleet.hub_port)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module", autouse=True)
def machines(fleet: Fleet, proxy: CuttingProxy) -> None:
    """One that dials the relay itself, and one through the proxy."""
    fleet.join("direct")
    fleet.tunnel_url = f"ws://127.0.0.1:{proxy.port}"
    fleet.join("behind")


def plans(dice: random.Random) -> list[tuple[int, int]]:
    """Where connections are cut: in the handshakes, just after them, or among the calls; on either side."""
    found = []
    for _ in range(CUTS):
        most = dice.choice([600, 1500, 4000, 20_000])
        cut = dice.randrange(most)
        found.append((cut, FAR) if dice.randrange(2) else (FAR, cut))
    return found


def call(
    client: RemoteClient, over: threading.Event, acknowledged: list[int], failed: list[int]
) -> None:
    """Send numbers, each to be counted once."""
    number = 0
    while not over.is_set():
        number += 1
        try:
            client.send_message(number, to_name="counter")
            acknowledged.append(number)
        except CloveError:
            failed.append(number)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", ["agent", "kernel"])
def test_each_call_is_executed_once_wherever_connections_are_cut(
    fleet: Fleet, proxy: CuttingProxy, side: str, seed: int
) -> None:
    dice = random.Random(seed)
    machine = "direct" if side == "agent" else "behind"
    kernel = fleet.kernels[side == "kernel"]
    counter = Counter(kernel)
    url = f"ws://127.0.0.1:{proxy.port}" if side == "agent" else fleet.url
    acknowledged: list[int] = []
    failed: list[int] = []
    over = threading.Event()
    with RemoteClient(url, machine, token=fleet.agent_token(machine), timeout=60) as client:
        client.noop()
        proxy.plans.extend(plans(dice))
        proxy.cut()
        calling = threading.Thread(target=call, args=(client, over, acknowledged, failed))
        calling.start()
        try:
            until(lambda: counter.read() and not proxy.plans, "all connections were made")
            end = len(acknowledged) + 100
            until(lambda: counter.read() and len(acknowledged) > end, "calls are answered again")
        finally:
            proxy.plans.clear()
            over.set()
            calling.join()
    received = counter.read()
    counter.close()
    assert len(received) == len(set(received))
    assert not set(acknowledged) - set(received)
    assert not failed, (failed, len(acknowledged))
