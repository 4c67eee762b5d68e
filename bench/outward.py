"""Connections out of a sandbox, measured: through the gateway, and on plain loopback."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from bench.figures import Figure, Spread
from bench.fixture import Failed, Fixture
from clove.framing import Opcode

__all__ = ["HOSTS", "egress"]

SCRIPT = Path(__file__).parent / "inside" / "outward.py"
NAME = "upstream.test"
HOSTS = f'[egress.hosts]\n"{NAME}" = "127.0.0.1"\n'
"""The kernel's configuration that lets agents reach the server by a name."""
CONNECT_BAR = 1.0
CARRY_BAR = 4.0
BATCH = 10


def egress(fixture: Fixture, port: int, rounds: int, size: int) -> list[Figure]:
    """Connect and carry, from a sandboxed agent and from one on the host, in turn.

    A connection through the gateway is open at once; so it counts until the first
    bytes of the server are there.

    @param rounds: of ten connections and one transfer each way.
    @param size: bytes of a transfer.
    """
    rules = [f"{NAME}:{port}", f"127.0.0.1:{port}"]
    within = {"network": True, "permissions": {"allowed_domains": rules}}
    _start(fixture, "within", NAME, port, **within)
    _start(fixture, "direct", "127.0.0.1", port, sandboxed=False)
    connects: dict[str, list[float]] = {"within": [], "direct": []}
    carries: dict[str, list[float]] = {"within": [], "direct": []}
    for name in connects:
        _ask(fixture, name, "connect", BATCH)  # once for what is made at first use
    for _ in range(rounds):
        for name in connects:
            connects[name] += _ask(fixture, name, "connect", BATCH)
        for name in carries:
            carries[name] += _ask(fixture, name, "receive", size)
    for name in connects:
        fixture.ask(Opcode.KILL, name=name)
    through, plain = (Spread.of([each * 1e3 for each in connects[name]]) for name in connects)
    slower = [a / b for a, b in zip(carries["within"], carries["direct"], strict=True)]
    rates = {name: size / statistics.median(took) / 1e9 for name, took in carries.items()}
    megabytes = f"{size >> 20} MiB"
    note = f"{rates['within']:.2f} against {rates['direct']:.2f} GB/s"
    return [
        *through.figures("connect through the gateway"),
        *plain.figures("connect on loopback"),
        Figure("connect, difference of medians", through.p50 - plain.p50, "ms", CONNECT_BAR),
        Figure(f"{megabytes}, gateway / loopback", statistics.median(slower), "", CARRY_BAR, note),
    ]


def _start(fixture: Fixture, name: str, host: str, port: int, **fields: object) -> None:
    arguments = [name, host, str(port)]
    fixture.ask(Opcode.SPAWN, name=name, script=str(SCRIPT), args=arguments, **fields)


def _ask(fixture: Fixture, name: str, what: str, number: int) -> list[float]:
    """Seconds."""
    fixture.ask(Opcode.SEND, to_name=name, message=[what, number])
    mail = fixture.mailbox.request(Opcode.RECV, wait=60, max=1)["messages"]
    problem = mail[0]["message"]["problem"] if mail else "no report"
    if problem:
        raise Failed(f"{name}: {problem}\n{_log(fixture, name)}")
    return list(mail[0]["message"]["seconds"])


def _log(fixture: Fixture, name: str) -> str:
    lines = json.loads(fixture.operator.call(Opcode.LOGS, json.dumps({"name": name}).encode()))
    return "\n".join(line["text"] for line in lines.get("lines", []))
