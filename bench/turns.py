"""How long one request holds up all others, where the tables that it goes through are full.

`python -m bench.turns [--json] [--rounds N] [--smoke]`

Each request is made some times while another connection asks NOOPs without a pause, and some times alone. The
longest wait of a NOOP in the best round is what the loop's longest turn comes to; the kernel's watchdog counts the
turns that use more than 5 ms of processor time.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.alone import command, report
from bench.figures import Figure
from bench.full_tables import SMOKE, Amounts, FullKernel, full_kernel
from bench.leaks import adopt_orphans
from bench.servers import workplace
from clove.framing import Opcode

__all__ = ["figures", "main"]

AFTER = 0.02
"""Seconds that are watched after the reply: what it has caused may go on."""
IDLE = 0.03
"""Seconds without a request before one, after which the watchdog measures exactly."""


@dataclass(frozen=True)
class Act:
    """What holds the loop.

    @ivar ask: does it.
    @ivar replies: it has a reply, which is awaited.
    """

    name: str
    ask: Callable[[FullKernel], object]
    replies: bool = True


def request(name: str, opcode: Opcode, /, **fields: object) -> Act:
    """A request with a reply."""
    payload = json.dumps(fields).encode()
    return Act(name, lambda full: full.asker.send(opcode, payload))


def _measured(
    full: FullKernel, act: Act, prepare: Callable[[], Act] | None = None
) -> Iterator[Figure]:
    rounds = full.amounts.rounds
    waits = []
    for _ in range(rounds):
        waits.append(_longest_wait(full, prepare() if prepare else act))
    before = full.long_turns()
    took = [_time(full, prepare() if prepare else act) for _ in range(rounds)]
    long = full.long_turns() - before
    details = {"another waits, ms": min(waits), "reply, ms": min(took)}
    yield Figure(f"{act.name}: turns over 5 ms", long, "", 0.0, samples=rounds, details=details)


def _once(full: FullKernel, act: Act) -> Figure:
    """Of what can be done only once."""
    before = full.long_turns()
    took = _time(full, act)
    long = full.long_turns() - before
    details = {"reply, ms": took}
    return Figure(f"{act.name}: turns over 5 ms", long, "", 0.0, samples=1, details=details)


def _time(full: FullKernel, act: Act) -> float:
    """Milliseconds to its reply, while nothing else is asked."""
    time.sleep(IDLE)
    begun = time.perf_counter()
    act.ask(full)
    if act.replies:
        full.asker.receive()
    took = (time.perf_counter() - begun) * 1e3
    time.sleep(AFTER)
    return took


def _longest_wait(full: FullKernel, act: Act) -> float:
    """Milliseconds of the longest NOOP of another connection."""
    longest = 0.0
    full.probe.round_trips(0.01)
    act.ask(full)
    end = None if act.replies else time.perf_counter() + 3 * AFTER
    while end is None or time.perf_counter() < end:
        longest = max(longest, full.probe.round_trip())
        if end is None and select.select([full.asker], [], [], 0)[0]:
            full.asker.receive()
            end = time.perf_counter() + AFTER
    return longest / 1e3


def figures(amounts: Amounts) -> Iterator[Figure]:
    """All of them.

    @raise Unavailable: the kernel does not come up.
    @raise Failed: it does not do what is asked.
    """
    with workplace() as directory, full_kernel(directory, amounts) as full:
        for part in (_state, _audit, _output, _mail_and_events, _agents, _expired):
            yield from part(full)


def _state(full: FullKernel) -> Iterator[Figure]:
    amounts = full.amounts
    yield from _measured(full, request(f"KEYS among {amounts.keys:,}", Opcode.KEYS))

    def close() -> Act:
        writer = full.store(amounts.own_keys, scope="agent", ttl=3600)
        return Act("", lambda full: writer.close(), replies=False)

    ends = Act(f"the end of a client with {amounts.own_keys:,} keys", lambda full: None)
    yield from _measured(full, ends, close)


def _expired(full: FullKernel) -> Iterator[Figure]:
    count = full.amounts.keys // 2
    full.store(count, ttl=2, scope="session")
    time.sleep(2)
    yield from _measured(full, request(f"KEYS with {count:,} that have expired", Opcode.KEYS))


def _audit(full: FullKernel) -> Iterator[Figure]:
    newest = request("GET_AUDIT_LOG of 1,000", Opcode.GET_AUDIT_LOG, limit=1000)
    yield from _measured(full, newest)
    rare = request(
        "GET_AUDIT_LOG of one without entries",
        Opcode.GET_AUDIT_LOG,
        agent_id=1,
        since_id=0,
        limit=1000,
    )
    yield from _measured(full, rare)


def _output(full: FullKernel) -> Iterator[Figure]:
    full.spawn("writer", "/bin/sh", "-c", f"seq {full.amounts.lines}; exec sleep 1000")
    while not full.ask(Opcode.LOGS, name="writer", since=full.amounts.lines - 1)["lines"]:
        time.sleep(0.05)
    yield from _measured(full, request("LOGS", Opcode.LOGS, name="writer"))
    yield from _measured(full, request("OUTPUT", Opcode.OUTPUT, name="writer", max=1 << 20))
    full.ask(Opcode.KILL, name="writer")


def _mail_and_events(full: FullKernel) -> Iterator[Figure]:
    full.open_all()
    many = f"{len(full.others):,}"
    message = {"text": "to all"}
    send = request(f"BROADCAST to {many}", Opcode.BROADCAST, message=message)
    yield from _measured(full, send)

    yield from _measured(full, request(f"METRICS_ALL_AGENTS of {many}", Opcode.METRICS_ALL_AGENTS))
    _read_mail(full)

    def waiting() -> Act:
        if full.waiting:
            _read_replies(full)
        for client in full.others:
            client.send(Opcode.RECV, b'{"wait":60}')
        full.waiting = True
        full.probe.round_trips(0.01)
        return send

    yield from _measured(full, replace(send, name=f"{send.name} that wait"), waiting)
    _read_replies(full)
    event = request(f"EMIT to {many} that poll", Opcode.EMIT, event_type="news", data={"n": 1})
    full.subscribe_all("CUSTOM")
    yield from _measured(full, event)
    change = request(f"STORE told to {many}", Opcode.STORE, key="told", value=1)
    with full.listeners("STATE_CHANGED"):
        yield from _measured(full, change)


def _read_mail(full: FullKernel) -> None:
    for client in full.others:
        while client.request(Opcode.RECV, max=100)["messages"]:
            pass


def _read_replies(full: FullKernel) -> None:
    for client in full.others:
        client.receive()


def _agents(full: FullKernel) -> Iterator[Figure]:
    count = full.amounts.agents
    for number in range(count):
        full.spawn(f"agent{number}", "/bin/sleep", "1000")
    yield from _measured(full, request(f"LIST of {count:,} agents", Opcode.LIST))
    yield from _measured(
        full, request(f"METRICS_ALL_AGENTS of {count:,} agents", Opcode.METRICS_ALL_AGENTS)
    )
    for number in range(count):
        full.ask(Opcode.KILL, name=f"agent{number}")
    yield from _measured(full, request(f"LIST of {count:,} that ended", Opcode.LIST, all=True))
    yield _once(full, request(f"PRUNE of {count:,}", Opcode.PRUNE, older_than=0))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 when something needed is missing."""
    parser = command("bench.turns", __doc__, 7, "how often each is asked", "small tables, once")
    options = parser.parse_args(arguments)
    amounts = SMOKE if options.smoke else Amounts(rounds=options.rounds)
    adopt_orphans()
    title = "One request with full tables"
    return report(title, lambda: list(figures(amounts)), as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
