"""A kernel the tables of which are full, for L{bench.turns}."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.fixture import Failed
from bench.servers import kernel
from bench.wire import Client
from clove.framing import FrameDecoder, Opcode, encode

__all__ = ["SMOKE", "Amounts", "FullKernel", "full_kernel"]

SETTINGS = """
[watchdog]
cpu = 0.005
sample = false
"""
WINDOW = 64
HELLO = b'{"protocol_version":2}'
TAG = (1).to_bytes(8, "little")


@dataclass(frozen=True)
class Amounts:
    """How full they are.

    @ivar keys: that stay; and half as many that expire.
    @ivar own_keys: in the space of one connection.
    @ivar connections: that are open.
    @ivar agents: that live, and later have ended.
    @ivar entries: of each kind in the audit log.
    @ivar lines: of an agent's output.
    @ivar rounds: how often each request is made.
    """

    keys: int = 60_000
    own_keys: int = 10_000
    connections: int = 1000
    agents: int = 1000
    entries: int = 10_000
    lines: int = 20_000
    rounds: int = 7


SMOKE = Amounts(keys=300, own_keys=50, connections=20, agents=10, entries=50, lines=50, rounds=1)


@dataclass
class FullKernel:
    """One, with the connections to it.

    @ivar asker: makes the requests that are measured.
    @ivar probe: sees how long another waits.
    @ivar others: the open connections.
    @ivar waiting: each of them has asked for a message.
    """

    path: str
    amounts: Amounts
    stack: ExitStack
    asker: Client
    probe: Client
    others: list[Client] = field(default_factory=list)
    waiting: bool = False
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def connect(self) -> Client:
        """One more connection, open until the end."""
        client = Client(self.path)
        self.stack.callback(client.close)
        return client

    def ask(self, opcode: Opcode, **fields: Any) -> Any:
        """The reply to one request.

        @raise Failed: it was refused.
        """
        reply = self.asker.request(opcode, **fields)
        if isinstance(reply, dict) and not reply.get("success", True):
            raise Failed(f"{opcode.name}: {reply.get('error')}")
        return reply

    def long_turns(self) -> int:
        """Turns that took too much processor time so far, as the kernel's watchdog counts."""
        return int(self.ask(Opcode.METRICS_SYSTEM)["metrics"]["reactor"]["busy"])

    def store(self, count: int, **fields: Any) -> socket.socket:
        """Store so many new keys, by connections that may have no more each; gives the last of these."""
        most = self.amounts.own_keys
        while True:
            writer = _connected(self.path)
            self.stack.callback(writer.close)
            part = min(count, most)
            names = (f"{next(self.numbers) * 7919 % 1000003:07}" for _ in range(part))
            requests = ({"key": name, "value": {"n": 1}, **fields} for name in names)
            _pipelined(writer, Opcode.STORE, [json.dumps(one).encode() for one in requests])
            count -= part
            if not count:
                return writer

    def refuse(self, count: int) -> None:
        """Have requests refused, each of which is an entry of its own kind."""
        writer = _connected(self.path)
        self.stack.callback(writer.close)
        _pipelined(writer, Opcode.SET_PERMS, [b'{"agent_id":2000000000,"level":"minimal"}'] * count)

    def open_all(self) -> None:
        """Open the connections."""
        while len(self.others) < self.amounts.connections:
            self.others.append(self.connect())
            self.others[-1].request(Opcode.REGISTER, name=f"c{len(self.others)}")

    def spawn(self, name: str, *command: str) -> None:
        """Start an agent outside of any sandbox."""
        self.ask(Opcode.SPAWN, name=name, command=list(command), sandboxed=False)

    def subscribe_all(self, type: str) -> None:
        """Have all connections subscribe to a type of events, to poll them."""
        for client in self.others:
            client.request(Opcode.SUBSCRIBE, event_types=[type])

    @contextmanager
    def listeners(self, type: str) -> Iterator[None]:
        """So many more connections, of version 2, that events are sent to at once."""
        payload = TAG + json.dumps({"event_types": [type], "push": True}).encode()
        with ExitStack() as stack:
            for _ in range(self.amounts.connections):
                listener = stack.enter_context(_connected(self.path))
                listener.sendall(encode(0, Opcode.HELLO, HELLO))
                listener.recv(1 << 16)
                listener.sendall(encode(0, Opcode.SUBSCRIBE, payload))
                listener.recv(1 << 16)
            yield


@contextmanager
def full_kernel(directory: Path, amounts: Amounts) -> Iterator[FullKernel]:
    """Start one, and fill what all requests find."""
    with kernel(directory, SETTINGS) as (path, _), ExitStack() as stack:
        asker, probe = Client(path), Client(path)
        full = FullKernel(path, amounts, stack, asker, probe)
        stack.callback(asker.close)
        stack.callback(probe.close)
        full.store(amounts.keys)
        full.refuse(amounts.entries)
        yield full


def _connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(path)
    return connection


def _pipelined(connection: socket.socket, opcode: Opcode, payloads: list[bytes]) -> None:
    """Make requests, some at a time, and read their replies."""
    decoder = FrameDecoder(1 << 20)
    for at in range(0, len(payloads), WINDOW):
        batch = payloads[at : at + WINDOW]
        connection.sendall(b"".join(encode(0, opcode, payload) for payload in batch))
        left = len(batch)
        while left:
            left -= len(decoder.feed(connection.recv(1 << 18)))
