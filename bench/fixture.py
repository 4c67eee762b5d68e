"""A kernel with connections to it, and the ways to start a measured agent."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.bubblewrap import command_line
from bench.servers import kernel
from bench.wire import Client
from clove.framing import Opcode

__all__ = ["Bubblewrap", "Clove", "Failed", "Fixture", "Way", "running_fixture"]

SCRIPT = Path(__file__).parent / "inside" / "first_reply.py"
PATIENCE = 30
"""Seconds until an agent must have reported."""
UNTIL_WARM = 10.0
"""Seconds that a zygote has to become ready."""


class Failed(Exception):
    """The kernel refused, or an agent did not report."""


class Way(Protocol):
    """How agents are started.

    @ivar name: as the table has it.
    """

    name: str

    def start(self, number: int, then: str) -> None:
        """Start one that reports this number, then stays or ends."""

    def end(self, number: int) -> None:
        """End one that stays; returns when it is gone."""


@dataclass
class Fixture:
    """A kernel and the bench's own connections to it.

    @ivar operator: the connection for SPAWN and KILL.
    @ivar mailbox: the connection that receives the reports of agents.
    @ivar warm: whether this kernel starts agents warm.
    """

    path: str
    pid: int
    state: Path
    operator: Client
    mailbox: Client
    numbers: Iterator[int]
    warm: bool = False

    def report(self) -> tuple[int, int]:
        """The next agent's number, and when (CLOCK_REALTIME, ns) it had its first reply.

        The other clocks are a sandbox's own (time_namespaces(7)).
        """
        mail = self.mailbox.request(Opcode.RECV, wait=PATIENCE, max=1)["messages"]
        if not mail:
            raise Failed("an agent did not report")
        report = mail[0]["message"]
        return report["number"], report["at"]

    def first_reply(self, way: Way, then: str = "stay") -> tuple[int, float]:
        """Start one agent; its number, and milliseconds to its first reply."""
        number = next(self.numbers)
        started = time.time_ns()
        way.start(number, then)
        told, at = self.report()
        if told != number or not started < at < time.time_ns():
            raise Failed("an agent's report is not plausible")
        return number, (at - started) / 1e6

    def ask(self, opcode: Opcode, **fields: Any) -> Any:
        """The kernel's reply.

        @raise Failed: it refused.
        """
        reply = self.operator.request(opcode, **fields)
        if reply.get("success") is False:
            raise Failed(f"{opcode.name}: {reply.get('error')}")
        return reply


class Clove:
    """SPAWN and KILL.

    @ivar started_cold: agents that should have been warm.
    """

    def __init__(self, fixture: Fixture, warm: bool) -> None:
        self.name = "warm" if warm else "cold"
        self._fixture = fixture
        self._warm = warm
        self.started_cold = 0

    @property
    def note(self) -> str:
        """A remark beside the figures; empty if there is none."""
        return f"{self.started_cold} started cold" if self.started_cold else ""

    def request(self, number: int, then: str) -> dict[str, Any]:
        """The fields of a SPAWN."""
        fields = {"name": f"bench{number % 100}", "script": str(SCRIPT)}
        return {**fields, "args": [str(number), then], "warm": self._warm}

    def start(self, number: int, then: str) -> None:
        self.check(self._fixture.ask(Opcode.SPAWN, **self.request(number, then)))

    def check(self, reply: Any) -> None:
        """Count agents that started cold though they should have been warm."""
        if not reply["success"]:
            raise Failed(f"SPAWN: {reply['error']}")
        if self._warm and not reply.get("warm"):
            self.started_cold += 1

    def end(self, number: int) -> None:
        self._fixture.ask(Opcode.KILL, name=f"bench{number % 100}")


class Bubblewrap:
    """The same script with the same Python in the same root, made by bubblewrap.

    @raise Unavailable: it is not installed.
    """

    name = "bubblewrap"

    def __init__(self, fixture: Fixture, directory: Path) -> None:
        self._command = command_line(directory / "bubblewrap", SCRIPT, fixture.path)
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int, then: str) -> None:
        command = [*self._command, str(number), then]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        self._running[number] = subprocess.Popen(command, **streams)  # type: ignore[call-overload]

    def end(self, number: int) -> None:
        process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def running_fixture(directory: Path, settings: str = "") -> Iterator[Fixture]:
    """Start a kernel, and end what is left of its agents."""
    with kernel(directory, settings) as (path, pid):
        operator, mailbox = Client(path), Client(path)
        try:
            mailbox.request(Opcode.REGISTER, name="bench")
            numbers = iter(range(1 << 30))
            fixture = Fixture(path, pid, directory / "state", operator, mailbox, numbers)
            fixture.warm = _until_warm(fixture)
            yield fixture
            for agent in json.loads(operator.call(Opcode.LIST)):
                fixture.ask(Opcode.KILL, id=agent["id"])
        finally:
            operator.close()
            mailbox.close()


def _until_warm(fixture: Fixture) -> bool:
    """Start agents until one is warm; False if this kernel has no warm start."""
    end = time.monotonic() + UNTIL_WARM
    way = Clove(fixture, True)
    while True:
        number = next(fixture.numbers)
        reply = fixture.ask(Opcode.SPAWN, **way.request(number, "stay"))
        fixture.report()
        way.end(number)
        if "warm" not in reply:
            return False
        if reply["warm"]:
            return True
        if time.monotonic() > end:
            raise Failed(f"no agent starts warm within {UNTIL_WARM:g} s")
        time.sleep(0.2)
