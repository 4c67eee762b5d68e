"""Faults of real networks between a relay and what is connected to it: nothing is lost or doubled, and
the registry says what is so.

The relay is in one network namespace and the kernel in another, with a router of the test's between
them; what is tried is tried from the relay's side, unless it says otherwise.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from clove.errors import CloveError
from tests.integration.fleet.network_site import Counter, Site, running_site
from tests.integration.fleet.networks import MISSING
from tests.waiting import until

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

STEPPED = """
import os, time
_real, _file = time.time, {file!r}
time.time = lambda: _real() + (3600.0 if os.path.exists(_file) else 0.0)
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def silent_site() -> Iterator[Site]:
    """One whose relay nearly never pings."""
    with running_site(600.0) as site:
        yield site


def presences(site: Site, last: str) -> list[dict[str, Any]]:
    """What the registry says one after the other, until it says this."""
    found = [site.machine()]

    def look() -> bool:
        entry = site.machine()
        if entry["presence"] != found[-1]["presence"]:
            found.append(entry)
        return bool(entry["presence"] == last)

    until(look, f"the machine is {last}")
    return found


@pytest.mark.parametrize("lost", ["near", "far", "both"])
def test_a_machine_that_falls_silent_is_stale_then_disconnected_then_back(
    site: Site, lost: str
) -> None:
    site.start()
    assert site.machine()["presence"] == "connected"
    site.between.dropping = frozenset(("near", "far") if lost == "both" else (lost,))
    found = presences(site, "disconnected")
    assert [one["presence"] for one in found] == ["connected", "stale", "disconnected"]
    site.between.heal()
    found = presences(site, "connected")
    assert found[-1]["presence_since"] > found[0]["presence_since"]


def call_while(client: RemoteClient, disturb: Any) -> tuple[list[int], list[int]]:
    """Send numbers while something goes on; which were acknowledged, and which reported as failed."""
    acknowledged: list[int] = []
    failed: list[int] = []
    over = threading.Event()

    def call() -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                client.send_message(number, to_name="counter")
                acknowledged.append(number)
            except CloveError:
                failed.append(number)

    calling = threading.Thread(target=call)
    calling.start()
    try:
        disturb(acknowledged)
    finally:
        over.set()
        calling.join()
    return acknowledged, failed


def more(acknowledged: list[int], counter: Counter) -> None:
    """Wait until more calls were answered."""
    end = len(acknowledged) + 20
    until(lambda: counter.read() and len(acknowledged) >= end, "calls are answered again")


@pytest.mark.parametrize("side", ["near", "far"], ids=["kernel behind it", "agent behind it"])
def test_each_acknowledged_call_is_executed_once_whatever_the_network_does(
    site: Site, side: str
) -> None:
    kernel = site.start()
    counter = Counter(kernel)
    between = site.between

    def disturb(acknowledged: list[int]) -> None:
        more(acknowledged, counter)
        for fault in ("reset", "cut", "near", "far", "reset", "down"):
            if fault == "reset":
                between.reset()
                until(lambda: not between.is_resetting, "the connection is reset")
            elif fault == "down":
                between.far.up(False)
                silent(acknowledged)
                between.far.up(True)
            else:
                between.dropping = frozenset(("near", "far") if fault == "cut" else (fault,))
                silent(acknowledged)
                between.heal()
            more(acknowledged, counter)
        between.delay, between.loss = 0.02, 5.0
        more(acknowledged, counter)
        between.heal()

    with site.client(side) as client:
        acknowledged, failed = call_while(client, disturb)
    received = counter.read()
    counter.close()
    assert len(received) == len(set(received))
    assert not set(acknowledged) - set(received)
    assert not failed, (failed, len(acknowledged))


def silent(acknowledged: list[int]) -> None:
    """Wait until no call has been answered for a while."""
    seen, since = len(acknowledged), time.monotonic()

    def look() -> bool:
        nonlocal seen, since
        if len(acknowledged) != seen:
            seen, since = len(acknowledged), time.monotonic()
        return time.monotonic() - since > 0.5

    until(look, "calls are not answered")


BYTES = 30_000_000
WRITER = f"""
import hashlib, os
block = hashlib.shake_128(b"stream").digest(100_000)
for number in range({BYTES} // 100_000):
    os.write(1, number.to_bytes(8, "big"))
    view = memoryview(block)[8:]
    while view:
        view = view[os.write(1, view):]
"""
CUTS = 20


def expected() -> str:
    block = hashlib.shake_128(b"stream").digest(100_000)[8:]
    whole = hashlib.sha256()
    for number in range(BYTES // 100_000):
        whole.update(number.to_bytes(8, "big") + block)
    return whole.hexdigest()


@pytest.mark.parametrize("side", ["near", "far"], ids=["kernel behind it", "agent behind it"])
def test_a_stream_is_whole_after_twenty_cuts(site: Site, side: str) -> None:
    site.start()
    between = site.between
    with site.client(side) as client:
        agent = client.spawn("writer", command=["python3", "-c", WRITER], attach=True)["agent_id"]
        whole, length = hashlib.sha256(), 0
        with client.hold_output(agent) as held:
            next(held)
            while True:
                piece = client.read_output(agent, since=length, wait=30, attached=True)
                whole.update(piece["data"])
                length += len(piece["data"])
                if length * CUTS // BYTES > between.resets:
                    between.reset()
                if piece["ended"]:
                    break
    assert (length, whole.hexdigest()) == (BYTES, expected())
    assert between.resets >= CUTS - 1


@pytest.mark.parametrize("address", ["10.77.0.2", "10.77.0.3"], ids=["same", "another"])
def test_a_laptop_that_slept_tests_its_tunnel_at_once(
    silent_site: Site, tmp_path: Path, address: str
) -> None:
    site, file = silent_site, tmp_path / "slept"
    (tmp_path / "usercustomize.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text(STEPPED.format(file=str(file)))
    kernel = site.start({"PYTHONPATH": str(tmp_path)})
    counter = Counter(kernel)
    with site.client() as client, CloveClient(kernel.socket) as operator:
        client.send_message(1, to_name="counter")
        site.between.cut()
        site.between.far.move(address)
        file.touch()
        until(lambda: not operator.tunnel_status()["connected"], "it notices")
        site.between.heal()
        until(lambda: operator.tunnel_status()["connected"], "it is back")
        client.send_message(2, to_name="counter")
    assert counter.read() == [1, 2]
    counter.close()
