"""An agent that prints much to a reader that sleeps: every byte arrives, and neither relay nor kernel grows.

40 MB, or what CLOVE_SLEEPER_MB says: 200 take a minute on a busy machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clove import CloveClient
from tests.integration.fleet.fleet_processes import CONFIG, Fleet
from tests.waiting import until

SIZE = 100_000
BLOCKS = int(os.environ.get("CLOVE_SLEEPER_MB", "40")) * 10
WRITER = f"""
import hashlib, os
block = hashlib.shake_128(b"block").digest({SIZE - 8})
for number in range({BLOCKS}):
    view = memoryview(number.to_bytes(8, "big") + block)
    while view:
        view = view[os.write(1, view):]
"""
MOST = 20 << 10
"""Kilobytes by which a process may have grown."""
STILL = 0.3
"""Seconds without a byte, of an agent that waits for its reader."""


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    fleet = Fleet(f"{CONFIG}[limits.rest]\nrate = 10000.0\n")
    try:
        fleet.start()
        fleet.join("one")
        yield fleet
    finally:
        fleet.stop()


class Memory:
    """The most that a process has had in memory from now on."""

    def __init__(self, pid: int) -> None:
        self._directory = Path(f"/proc/{pid}")
        (self._directory / "clear_refs").write_text("5")  # proc(5): the peak begins anew
        self._before = self._kilobytes("VmRSS:")

    def _kilobytes(self, name: str) -> int:
        text = (self._directory / "status").read_text()
        return int(text.partition(name)[2].split()[0])

    @property
    def grown(self) -> int:
        """Kilobytes."""
        return self._kilobytes("VmHWM:") - self._before


def asleep(fleet: Fleet, agent: int) -> None:
    """Sleep until the agent cannot write any more."""
    with CloveClient(fleet.kernels[0].socket) as operator:

        def look() -> bool:
            written = operator.read_output(agent)["next"]
            page = operator.read_output(agent, since=written, wait=STILL)
            return bool(written and not page["data"])

        until(look, "the agent waits for its reader")


def by_rest(fleet: Fleet) -> tuple[int, str]:
    client = fleet.api()
    agent = client.deploy("one", "work.py", WRITER, attach=True)["agent_id"]
    whole, length, slept = hashlib.sha256(), 0, 0
    for kind, fields in client.stream("one", agent, attach=True):
        assert kind != "lost"
        if kind == "output":
            whole.update(fields["data"])
            length += len(fields["data"])
            if length > slept * BLOCKS * SIZE // 4:
                slept += 1
                asleep(fleet, agent)
    return length, whole.hexdigest()


def by_channel(fleet: Fleet) -> tuple[int, str]:
    with fleet.client("one") as client:
        command = ["python3", "-c", WRITER]
        agent = client.spawn("writer", command=command, attach=True)["agent_id"]
        whole, length, slept = hashlib.sha256(), 0, 0
        with client.hold_output(agent) as held:
            next(held)
            while True:
                page = client.read_output(agent, since=length, wait=30, attached=True)
                assert not page["lost"]
                whole.update(page["data"])
                length += len(page["data"])
                if page["ended"]:
                    return length, whole.hexdigest()
                if length > slept * BLOCKS * SIZE // 4:
                    slept += 1
                    asleep(fleet, agent)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to read the peak of memory anew")
@pytest.mark.parametrize("read", [by_rest, by_channel], ids=["REST", "channel"])
def test_every_byte_arrives_and_nothing_grows(
    fleet: Fleet, read: Callable[[Fleet], tuple[int, str]]
) -> None:
    assert fleet.process is not None
    fleet.ask("GET", "/machines")
    relay, kernel = Memory(fleet.process.pid), Memory(fleet.kernels[0].pid)
    block = hashlib.shake_128(b"block").digest(SIZE - 8)
    expected = hashlib.sha256()
    for number in range(BLOCKS):
        expected.update(number.to_bytes(8, "big") + block)
    assert read(fleet) == (BLOCKS * SIZE, expected.hexdigest())
    print(f"relay +{relay.grown} kB, kernel +{kernel.grown} kB")
    assert relay.grown < MOST
    assert kernel.grown < MOST
