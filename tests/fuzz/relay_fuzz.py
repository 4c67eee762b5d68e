"""Anything may come from anybody: a relay stays, does not stall and does not grow.

    python -m tests.fuzz.relay_fuzz [--count 100000] [--seed 8|random]

`make relay-fuzz COUNT=100000` runs it. Strangers, kernels and remote agents of both versions send a live
relay whatever the dice say; beside them an honest kernel and an honest client are served all the while.
Ends with status 1 if the process has ended, logged a fault, used more than 50 ms of processor time in one
turn of its reactor, or grown from the end of the first half to that of the second.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from clove.client.remote import RemoteClient
from tests.fuzz.peers import ROLES, Credentials, Peer
from tests.fuzz.turns import LONG, Turns
from tests.integration.fleet.fleet_processes import CONFIG, Fleet

__all__ = ["Found", "chosen_seed", "fuzz_relay", "problems", "told"]

UNLIMITED = """
[limits.rest]
rate = 100000
burst = 100000
[limits.lockout]
failures = 1000000
all_failures = 1000000
"""
BURST = 60
"""Messages on one connection at most."""
WARM_UP = 300
"""Messages before anything counts: late imports, the allocator's first pools."""
NOISE = 6 << 10
"""Kilobytes that two looks at the same memory may differ by."""
QUIET = 0.3
"""Seconds without a sign of a relay that does not read one peer any more."""


class Found(NamedTuple):
    """What was seen.

    @ivar resident: kilobytes of the relay after the first half, and at the end.
    @ivar longest: seconds of processor time of one turn.
    @ivar lived: it still serves.
    """

    messages: int
    connections: int
    seconds: float
    resident: tuple[int, int]
    longest: float
    too_long: int
    where: str
    log: str
    lived: bool


class _Run:
    """A fleet, and the dice."""

    def __init__(self, fleet: Fleet, turns: Turns, seed: int) -> None:
        self._fleet = fleet
        self._turns = turns
        self._dice = random.Random(seed)
        fleet.ask("POST", "/machines", {"machine_id": "old"})
        body = {"machine_id": "old", "name": "old"}
        machine = fleet.ask("POST", "/tokens/machine", body)["token"]
        targets = {"target_machines": ["old", "mine", "honest"], "name": "fuzz"}
        agent = fleet.ask("POST", "/tokens/agent", targets)["token"]
        self.known = Credentials(machine, agent)
        self._join()
        self.messages = self.connections = 0

    def _join(self) -> None:
        join = self._fleet.ask("POST", "/tokens/join", {"machine_id": "mine"})["token"]
        peer = Peer(self._fleet.hub_port)
        peer.say(self.known.kernel(join))
        peer.say(self.known.prove(peer.hear()))
        answer = peer.hear()
        assert answer["type"] == "auth_ok", answer
        peer.close()

    def send(self, count: int, honest: RemoteClient) -> None:
        """Send so many messages, on as many connections as that takes."""
        end = self.messages + count
        while self.messages < end:
            self._connection()
            assert honest.noop(b"there") == b"there"

    def _connection(self) -> None:
        dice, port = self._dice, self._fleet.hub_port
        begin, make = ROLES[dice.choice(list(ROLES))]
        peers = [Peer(port)]
        begin(peers[0], dice, self.known)
        if "kernel" in begin.__name__:  # somebody has to be there for it
            for version in (1, 2):
                machine = "old" if "old" in begin.__name__ else "mine"
                peers.append(Peer(port))
                peers[-1].say(self.known.agent_auth(machine, version))
        first = peers[0]
        for number in range(dice.randint(1, BURST)):
            if first.closed:
                break
            first.send(make(dice, self.known))
            if number % 8 == 7:
                first.settle(QUIET)
        first.settle(QUIET)
        self.connections += len(peers)
        self.messages += first.sent
        for peer in peers:
            peer.close()

    def resident(self) -> int:
        """Kilobytes of the relay, once all that was closed is gone there as well."""
        fleet = self._fleet
        assert fleet.process is not None
        deadline = time.monotonic() + 90
        while fleet.ask("GET", "/agents?machine_id=old")["agents"] and time.monotonic() < deadline:
            time.sleep(0.05)
        status = Path(f"/proc/{fleet.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)


def fuzz_relay(count: int, seed: int) -> Found:
    """Send so many messages to a relay of its own."""
    directory = Path(tempfile.mkdtemp(dir="/tmp", prefix="fz"))
    turns = Turns(directory / "turns")
    fleet = Fleet(CONFIG + UNLIMITED)
    fleet.environ = turns.environ
    log, lived = "", False
    try:
        fleet.start()
        run = _Run(fleet, turns, seed)
        fleet.join("honest")
        with fleet.client("honest", run.known.agent_token) as honest:
            run.send(min(WARM_UP, count), honest)
            turns.forget()
            begun = time.monotonic()
            run.send(count // 2, honest)
            half = run.resident()
            run.send(count - count // 2, honest)
            seconds = time.monotonic() - begun
            resident = (half, run.resident())
        assert fleet.process is not None
        lived = fleet.process.poll() is None
        log = fleet.log
        return Found(
            run.messages, run.connections, seconds, resident, turns.longest, turns.too_long,
            turns.where, log, lived,
        )  # fmt: skip
    finally:
        fleet.stop(judge=False)
        turns.close()
        shutil.rmtree(directory)


def problems(found: Found) -> list[str]:
    """What should not be."""
    said = []
    if not found.lived:
        said.append("the process has ended")
    if "Traceback" in found.log:
        begin = found.log.index("Traceback")
        said.append(f"its log has a fault: {found.log[max(0, begin - 300) : begin + 4000]}")
    if found.too_long:
        said.append(
            f"{found.too_long} turns used more than {LONG * 1000:.0f} ms, the longest "
            f"{found.longest * 1000:.0f} ms:\n{found.where[-6000:]}"
        )
    if found.resident[1] - found.resident[0] > NOISE:
        said.append(f"it has grown from {found.resident[0]} to {found.resident[1]} kB")
    return said


def chosen_seed(text: str) -> int:
    """A seed, which is printed."""
    seed = secrets.randbits(32) if text == "random" else int(text)
    print(f"seed {seed}", flush=True)
    return seed


def told(found: Found) -> bool:
    """Print what was seen; was anything wrong?"""
    print(
        f"{found.messages} messages on {found.connections} connections in {found.seconds:.0f} s; "
        f"resident {found.resident[0]} kB after the first half, {found.resident[1]} kB at the end; "
        f"longest turn {found.longest * 1000:.1f} ms"
    )
    for each in problems(found):
        print(f"FAILED: {each}")
    return bool(problems(found))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", default="8")
    options = parser.parse_args()
    raise SystemExit(told(fuzz_relay(options.count, chosen_seed(options.seed))))


if __name__ == "__main__":
    main()
