"""A relay may say anything: the kernel that dials it stays, does not stall and does not grow.

    python -m tests.fuzz.tunnel_fuzz [--count 100000] [--seed 8|random]

The kernel's end of a tunnel against L{tests.fuzz.hostile_relay}, as L{tests.fuzz.relay_fuzz} is the other
way round; an operator's client is served all the while.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from clove import CloveClient
from clove.errors import CloveError
from tests.fuzz.hostile_relay import HostileRelay
from tests.fuzz.relay_fuzz import Found, chosen_seed, told
from tests.fuzz.turns import Turns
from tests.integration.conftest import KernelProcess

__all__ = ["fuzz_tunnel"]

BURST = 400
"""Messages on one connection at most."""
WARM_UP = 500
"""Messages before anything counts."""
IN_A_ROW = 1
"""Connections that come to nothing one after the other; with each the kernel waits twice as long."""


class _Run:
    """A kernel whose tunnel leads to a hostile relay."""

    def __init__(self, kernel: KernelProcess, relay: HostileRelay, seed: int) -> None:
        self._kernel = kernel
        self._relay = relay
        self._dice = random.Random(seed)
        self._failed = 0
        self.messages = self.connections = 0
        with CloveClient(kernel.socket) as operator:
            connecting = threading.Thread(target=self._connect, args=(operator,))
            connecting.start()
            first = relay.accept()
            assert first.welcome()
            connecting.join()
            first.close()

    def _connect(self, operator: CloveClient) -> None:
        url = f"ws://127.0.0.1:{self._relay.port}"
        with contextlib.suppress(CloveError):
            operator.tunnel_connect(url, "one", "clove_join_of_any_form")

    def send(self, count: int) -> None:
        """Send so many messages, on as many connections as that takes."""
        end = self.messages + count
        with CloveClient(self._kernel.socket) as operator:
            while self.messages < end:
                self._connection()
                assert operator.noop(b"there") == b"there"

    def _connection(self) -> None:
        dice = self._dice
        connection = self._relay.accept()
        if self._failed < IN_A_ROW and not dice.randrange(10):
            self._failed += 1
            connection.welcome_wrongly(dice)
        elif connection.welcome():
            self._failed = 0
            for number in range(dice.randint(1, BURST)):
                if connection.closed:
                    break
                connection.say_anything(dice)
                if number % 32 == 31:
                    connection.settle()
        self.messages += connection.sent
        self.connections += 1
        connection.close()

    def resident(self) -> int:
        """Kilobytes of the kernel, once its callers are gone."""
        deadline = time.monotonic() + 90
        with CloveClient(self._kernel.socket) as operator:
            while operator.tunnel_remotes()["agents"] and time.monotonic() < deadline:
                connection = self._relay.accept()
                if connection.welcome():  # and does not resume the session
                    connection.settle()
                connection.close()
        status = Path(f"/proc/{self._kernel.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)


@contextlib.contextmanager
def _running(turns: Turns) -> Iterator[KernelProcess]:
    directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
    kernel = KernelProcess(directory, "", turns.environ)
    try:
        kernel.start()
        yield kernel
    finally:
        kernel.stop()
        shutil.rmtree(directory)


def fuzz_tunnel(count: int, seed: int) -> Found:
    """Send so many messages to a kernel of its own."""
    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="fz"))
    turns = Turns(directory / "turns")
    relay = HostileRelay()
    try:
        with _running(turns) as kernel:
            run = _Run(kernel, relay, seed)
            run.send(min(WARM_UP, count))
            turns.forget()
            begun = time.monotonic()
            run.send(count // 2)
            half = run.resident()
            run.send(count - count // 2)
            seconds = time.monotonic() - begun
            resident = (half, run.resident())
            assert kernel.process is not None
            return Found(
                run.messages, run.connections, seconds, resident, turns.longest, turns.too_long,
                turns.where, kernel.log, kernel.process.poll() is None,
            )  # fmt: skip
    finally:
        relay.close()
        turns.close()
        shutil.rmtree(directory)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", default="8")
    options = parser.parse_args()
    raise SystemExit(told(fuzz_tunnel(options.count, chosen_seed(options.seed))))


if __name__ == "__main__":
    main()
