"""How much a relay and a tunnel cost: remote NOOPs against two bare hops of Autobahn, in turns.

`python -m bench.relay [--rounds N] [--seconds S] [--agents N]`

The client is the same for both but for the frames: a plain socket and the blocking client's WebSocket. The
relay's processor time comes from /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure
from clove.channels.session import FrameKind, Session, frame, parse
from clove.client.blocking import CloveClient
from clove.client.relay_connection import RelayAddress, RelayConnection
from clove.client.remote import RemoteClient
from clove.client.websocket import BINARY, Decoder, encode, request
from clove.framing import Opcode
from clove.framing import encode as encode_frame

NOOP = encode_frame(0, Opcode.NOOP, bytes(32))
TWISTD = Path(sys.executable).with_name("twistd")
TICK = os.sysconf("SC_CLK_TCK")


class BareAgent:
    """A client of the bare relay."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head, accept = request("127.0.0.1", port)
        self._decoder = Decoder(accept, 1 << 20)
        self.socket.sendall(head)
        while not self._decoder.is_open:
            self._decoder.feed(self.socket.recv(1 << 16))

    def send(self) -> None:
        self.socket.sendall(encode(BINARY, NOOP))

    def take(self) -> bool:
        """Read once; has an answer come?"""
        return bool(self._decoder.feed(self.socket.recv(1 << 16)))


class CloveAgent:
    """A remote agent of a Clove relay, without a thread: a session on one connection."""

    def __init__(self, address: RelayAddress) -> None:
        self._connection = RelayConnection.open(address, "", 0, time.monotonic() + 10)
        self._session = Session()
        self.socket = self._connection.socket
        self.socket.settimeout(20)
        self._since = 0

    def send(self) -> None:
        self._connection.send(frame(1, FrameKind.DATA, NOOP))
        self._connection.flush()

    def take(self) -> bool:
        self._connection.receive()
        answered = False
        messages = self._connection.take()
        while messages:
            message = messages.popleft()
            _, kind, body = parse(message)
            if kind == FrameKind.DATA:
                answered = True
                self._since += len(body)
                if self._since > 1 << 16:
                    window = self._since.to_bytes(4, "big")
                    self._connection.send(frame(1, FrameKind.WINDOW, window))
                    self._since = 0
            if kind in (FrameKind.DATA, FrameKind.WINDOW) and self._session.count(len(message)):
                self._connection.send(self._session.ack())
        return answered


Agent = BareAgent | CloveAgent


def round_trips(agent: Agent, seconds: float) -> list[float]:
    """Microseconds of each, one after the other."""
    times = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        agent.send()
        while not agent.take():
            pass
        times.append((time.perf_counter() - begun) * 1e6)
    return times


def cpu(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def crowd(agents: list[Agent], seconds: float, pid: int) -> tuple[float, float]:
    """Round trips a second of all at once, and the relay's microseconds for each."""
    poll = select.poll()
    by_number = {agent.socket.fileno(): agent for agent in agents}
    for agent in agents:
        poll.register(agent.socket, select.POLLIN)
        agent.send()
    done, before, begun = 0, cpu(pid), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for number, _ in poll.poll():
            agent = by_number[number]
            if agent.take():
                done += 1
                agent.send()
    spent = time.perf_counter() - begun
    used = cpu(pid) - before
    for agent in agents:
        while not agent.take():
            pass
    return done / spent, used / done * 1e6


@contextlib.contextmanager
def bare() -> Iterator[tuple[int, int]]:
    """The bare relay with its kernel: its port, and the relay's pid."""
    with contextlib.ExitStack() as stack:
        relay = stack.enter_context(_process("relay"))
        port = int(relay.stdout.readline())
        kernel = stack.enter_context(_process("kernel", str(port)))
        kernel.stdout.readline()
        yield port, relay.pid


@contextlib.contextmanager
def _process(*words: str) -> Iterator[Any]:
    command = [sys.executable, "-m", "bench.bare_relay", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def fleet() -> Iterator[tuple[RelayAddress, int]]:
    """A relay and a kernel that has joined: the address for agents, and the relay's pid."""
    with tempfile.TemporaryDirectory(prefix="fb") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        (directory / "r.toml").write_text("[rest]\nport = 0\n[hub]\nport = 0\n")
        log = directory / "log"
        words = ["clove-relay", "--state-dir", f"{name}/r", "--config", f"{name}/r.toml"]
        relay = stack.enter_context(_daemon(words, log))
        found = _until(lambda: re.findall(r"serves (\w+) on \S+ port (\d+)", log.read_text()), 2)
        ports = {what: int(port) for what, port in found}
        admin = re.findall(r"clove_admin_\w+", log.read_text())[0]
        join = _post(ports["REST"], admin, "tokens/join", {"machine_id": "one"})["token"]
        token = _post(ports["REST"], admin, "tokens/agent", {"target_machine": "one"})["token"]
        url = f"ws://127.0.0.1:{ports['WebSockets']}"
        stack.enter_context(
            _daemon(["clove-kernel", "--socket", f"{name}/s", "--state-dir", f"{name}/k"], log)
        )
        _until(lambda: [one for one in (directory / "s",) if one.exists()], 1)
        with CloveClient(f"{name}/s") as operator:
            operator.tunnel_connect(url, "one", join)
        yield RelayAddress.of(url, "one", token, "bench", None, plain=False), relay.pid


@contextlib.contextmanager
def _daemon(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as end:
        process = subprocess.Popen(
            [str(TWISTD), "-n", "--pidfile=", *words], stdout=end, stderr=end, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _until(look: Any, count: int) -> Any:
    deadline = time.monotonic() + 30
    while len(found := look()) < count:
        if time.monotonic() > deadline:
            raise SystemExit("it does not start")
        time.sleep(0.02)
    return found


def _post(port: int, token: str, path: str, body: object) -> Any:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=20) as reply:
        return json.load(reply)


def figures(rounds: int, seconds: float, agents: int) -> Iterator[Figure]:
    """Round trips of one agent, then of many at once, in turn on the bare hops and on ours."""
    with bare() as (port, bare_pid), fleet() as (address, pid):
        ours: list[Agent] = [CloveAgent(address) for _ in range(agents)]
        theirs: list[Agent] = [BareAgent(port) for _ in range(agents)]
        ratios, medians = [], []
        for _ in range(rounds):
            least = statistics.median(round_trips(theirs[0], seconds))
            found = statistics.median(round_trips(ours[0], seconds))
            ratios.append(found / least)
            medians.append((least, found))
        least, found = (statistics.median(each) for each in zip(*medians, strict=True))
        details = {"bare us": least, "Clove us": found}
        yield Figure.of("round trip through a relay / two bare hops", ratios, details=details)
        for name, crowded, process in (("bare", theirs, bare_pid), ("Clove", ours, pid)):
            rate, each = crowd(crowded, seconds * 2, process)
            what = f"{name}: the relay's processor time a round trip, {agents} agents at once"
            yield Figure(what, each, "us", details={"per second": rate})
        server = f"ws://{address.host}:{address.port}"
        with RemoteClient(server, "one", token=address.token) as client:
            times = []
            for _ in range(int(1000 * seconds)):
                begun = time.perf_counter()
                client.noop(bytes(32))
                times.append((time.perf_counter() - begun) * 1e6)
            yield Figure("RemoteClient.noop, median", statistics.median(times), "us")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--agents", type=int, default=32)
    options = parser.parse_args()
    for figure in figures(options.rounds, options.seconds, options.agents):
        details = ", ".join(f"{key} {number:.0f}" for key, number in figure.details.items())
        print(f"{figure.name}: {figure.value:.2f} {figure.unit}  {details}")


if __name__ == "__main__":
    main()
