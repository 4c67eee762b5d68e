"""What a request costs after its frame is whole, stage by stage, in µs of processor time.

`python -m bench.stages [--json] [--rounds N]`

One process, no socket: the dispatcher with the kernel's own mailboxes, state store and audit log, as a
default installation wires them, is handed payloads. Each round times every stage of every case in
blocks of 64 requests; the median of the rounds is shown, so a busy machine disturbs little. `permission`,
`audit` and `dispatch` are differences: of dispatchers with and without the flag that the syscall needs,
with the category switched on and off, and of the whole and all the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from twisted.internet.task import Clock

from clove.framing import Opcode
from clove.kernel.audit import AuditLog
from clove.kernel.context import Context
from clove.kernel.dispatch import Dispatcher
from clove.kernel.events import EventBus
from clove.kernel.id_file import IdFile
from clove.kernel.mail import Mailboxes
from clove.kernel.observers import Observers
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.kernel.state import StateStore
from clove.kernel.syscall import Syscall
from clove.kernel.table import TABLE
from clove.loop.collector import settle_collector
from clove.messages import encode
from clove.messages.audit import SetAuditConfigRequest
from clove.policy import Level, for_level

__all__ = ["main", "measure"]

BLOCK = 64
"""Requests that are timed at once."""
STAGES = ("decode", "permission", "call", "encode", "audit", "dispatch", "whole")
LEVEL = Level.STANDARD
VALUE = b'{"n":1,"text":"0123456789abcdef"}'


@dataclasses.dataclass(frozen=True)
class Case:
    """What is measured.

    @ivar before: what is asked before each block, not timed.
    @ivar per: messages of one request, by which its time is divided.
    """

    name: str
    opcode: Opcode
    payloads: list[bytes]
    before: list[tuple[Opcode, bytes]] = dataclasses.field(default_factory=list)
    per: int = 1


def _cases(to: int) -> list[Case]:
    stored = [b'{"key":"k%d","value":%b}' % (key, VALUE) for key in range(BLOCK)]
    fetched = [b'{"key":"k%d"}' % key for key in range(BLOCK)]
    sent = [b'{"to":%d,"message":%b}' % (to, VALUE)] * BLOCK
    one, all_of_them = b'{"max":1}', b'{"max":%d}' % BLOCK
    full = [(Opcode.SEND, payload) for payload in sent]
    return [
        Case("NOOP", Opcode.NOOP, [b"0" * 32] * BLOCK),
        Case("STORE", Opcode.STORE, stored),
        Case("FETCH", Opcode.FETCH, fetched),
        Case("SEND", Opcode.SEND, sent, [(Opcode.RECV, all_of_them)]),
        Case("RECV, one at a time", Opcode.RECV, [one] * BLOCK, full),
        Case("RECV of 64, a message", Opcode.RECV, [all_of_them], full, BLOCK),
    ]


class _Monotonic(Clock):
    """A reactor's clock, as the kernel has it; nothing here waits."""

    seconds = staticmethod(time.monotonic)


class _Kernel:
    """The parts that the cases need, wired as the kernel wires them."""

    def __init__(self) -> None:
        ids = IdFile("/nowhere")
        clock: Any = _Monotonic()
        for counter in (ids.messages, ids.audit):
            counter.reserve(counter.wanted())
        self.audit = AuditLog(time.time, None, None, ids.audit.take_always)
        events = EventBus(clock)
        observers = Observers(events, self.audit)
        registry = Registry()
        self.caller = Principal(1, Kind.AGENT, for_level(LEVEL))
        registry.add(self.caller)
        parts: Any = SimpleNamespace(
            registry=registry,
            mail=Mailboxes(clock, registry, None, observers.mail, None, ids.messages.take),
            state=StateStore(clock, None, observers.state),
            events=events,
            audit=self.audit,
            results=None,
        )
        self.parts = parts
        self.dispatcher = Dispatcher(parts, TABLE)
        free = {opcode: msgspec.structs.replace(line, needs=()) for opcode, line in TABLE.items()}
        self.without_flags = Dispatcher(parts, free)

    def switch_audit(self, on: bool) -> None:
        self.audit.configure(SetAuditConfigRequest(log_ipc=on, log_state=on))


def _time(function: Callable[[Any], object], arguments: Iterable[Any]) -> tuple[float, list[Any]]:
    """Seconds of processor time, and what came of it."""
    results: list[Any] = []
    keep = results.append
    begin = time.thread_time()
    for argument in arguments:
        keep(function(argument))
    return time.thread_time() - begin, results


def _round(kernel: _Kernel, case: Case) -> dict[str, float]:
    """Seconds of each stage, a block.

    @raise RuntimeError: a request was refused.
    """
    caller, dispatcher, opcode = kernel.caller, kernel.dispatcher, case.opcode

    def begin() -> None:
        for other, payload in case.before:
            dispatcher.answer(caller, other, payload)

    def whole(asked: Dispatcher) -> float:
        begin()
        answer = asked.answer
        seconds, replies = _time(lambda payload: answer(caller, opcode, payload), case.payloads)
        if opcode in TABLE and not all(b'"success":true' in reply for reply in replies):
            raise RuntimeError(f"{case.name}: {replies[0]!r}")
        return seconds

    idle, _ = _time(lambda payload: payload, case.payloads)
    whole(dispatcher)  # the first one would pay for what the caches have of the case before
    found = dict.fromkeys(STAGES, 0.0)
    found["whole"] = whole(dispatcher) - idle
    if opcode not in TABLE:  # NOOP
        return found
    line: Syscall = TABLE[opcode]
    found["permission"] = found["whole"] + idle - whole(kernel.without_flags)
    kernel.switch_audit(False)
    found["audit"] = found["whole"] + idle - whole(dispatcher)
    begin()
    seconds, requests = _time(line.decode, case.payloads)
    found["decode"] = seconds
    context, call = Context(kernel.parts, caller), line.call
    seconds, replies = _time(lambda request: call(context, request), requests)
    kernel.switch_audit(True)
    found["call"] = seconds - idle
    found["encode"] = _time(encode, replies)[0]
    return found


def measure(rounds: int, before: int = 100) -> list[dict[str, Any]]:
    """A record for each case: µs of each stage.

    @param before: rounds that are not timed, until the audit log is full.
    """
    kernel = _Kernel()
    for case in _cases(kernel.caller.agent_id) * before:
        _round(kernel, case)
    seen: dict[str, list[dict[str, float]]] = {}
    cases = _cases(kernel.caller.agent_id)
    for _ in range(rounds):
        for case in cases:
            seen.setdefault(case.name, []).append(_round(kernel, case))
    records = []
    for case in cases:
        scale = 1e6 / len(case.payloads) / case.per
        times = {
            stage: statistics.median(each[stage] for each in seen[case.name]) * scale
            for stage in STAGES
        }
        times["dispatch"] = 2 * times["whole"] - sum(times.values())
        records.append({"case": case.name, **times})
    return records


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print records, not a table")
    parser.add_argument("--rounds", type=int, default=2000, help="of 64 requests each (2000)")
    options = parser.parse_args(arguments)
    settle_collector()
    records = measure(options.rounds)
    if options.json:
        print(json.dumps(records, indent=2))
        return 0
    table = Table(title="µs of processor time a request, after its frame is whole")
    for heading in ("request", *STAGES):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    for record in records:
        table.add_row(record["case"], *(f"{record[stage]:.2f}" for stage in STAGES))
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
