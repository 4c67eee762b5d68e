"""Requests that ask a store which takes its time: the reply waits, and nothing else does."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.framing import Opcode
from clove.kernel.audit import AuditLog
from clove.kernel.dispatch import Dispatcher
from clove.kernel.events import EventBus
from clove.kernel.mail import Mailboxes
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.kernel.state import StateStore
from clove.kernel.table import TABLE
from clove.policy import Level, for_level
from tests.audit_entries import queried
from tests.contracts.answers import TICK, Slow


class SlowKernel:
    """A dispatcher above stores that answer a moment later."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.audit = AuditLog(self.clock.seconds)
        registry = Registry()
        self.mail = Mailboxes(self.clock, registry)
        self.caller = Principal(1, Kind.OPERATOR, for_level(Level.UNRESTRICTED))
        registry.add(self.caller)
        kernel: Any = SimpleNamespace(
            registry=registry,
            mail=Slow(self.clock, self.mail),
            state=Slow(self.clock, StateStore(self.clock)),
            audit=Slow(self.clock, self.audit, frozenset({"record", "recorder"})),
            events=EventBus(self.clock),
        )
        self._dispatcher = Dispatcher(kernel, TABLE)

    def ask(self, opcode: Opcode, **fields: Any) -> Any:
        payload = msgspec.json.encode(fields)
        return self._dispatcher.answer(self.caller, opcode, payload)


@pytest.mark.parametrize(
    ("opcode", "fields", "replied"),
    [
        (Opcode.STORE, {"key": "k", "value": 1}, {"version": 1}),
        (Opcode.FETCH, {"key": "k"}, {"exists": False}),
        (Opcode.DELETE, {"key": "k"}, {"deleted": False}),
        (Opcode.KEYS, {}, {"count": 0}),
        (Opcode.SEND, {"to": 1, "message": 1}, {"message_id": 1}),
        (Opcode.RECV, {}, {"count": 0}),
        (Opcode.BROADCAST, {"message": 1}, {"delivered_count": 0}),
        (Opcode.ACK, {"message_ids": [1]}, {"acknowledged": 0}),
        (Opcode.GET_AUDIT_LOG, {}, {"count": 0}),
        (Opcode.SET_AUDIT_CONFIG, {"log_ipc": False}, {"success": True}),
        (Opcode.STORE, {"key": "", "value": 1}, {"code": "invalid_request", "version": 0}),
        (Opcode.SEND, {"to": 1, "message": "x" * (1 << 20)}, {"code": "limit_exceeded"}),
    ],
)
def test_the_reply_comes_when_the_answer_is_there(
    opcode: Opcode, fields: dict[str, Any], replied: dict[str, Any]
) -> None:
    kernel = SlowKernel()
    got: list[bytes] = []
    reply = kernel.ask(opcode, **fields)
    assert isinstance(reply, Deferred)
    reply.addCallback(got.append)
    assert got == []
    kernel.clock.advance(TICK)
    assert msgspec.json.decode(got[0]).items() >= replied.items()


def test_what_was_done_is_recorded_when_it_is_done() -> None:
    kernel = SlowKernel()
    kernel.ask(Opcode.STORE, key="k", value=1)
    assert queried(kernel.audit) == []
    kernel.clock.advance(TICK)
    assert [entry.event_type for entry in queried(kernel.audit)] == ["STORE"]


def test_giving_up_a_recv_loses_no_message() -> None:
    kernel = SlowKernel()
    for cancelled_after in (0, TICK):
        got: list[bytes] = []
        reply = kernel.ask(Opcode.RECV, wait=60)
        reply.addCallback(got.append)
        kernel.clock.advance(cancelled_after)
        reply.cancel()
        assert msgspec.json.decode(got[0])["code"] == "cancelled"
    kernel.ask(Opcode.SEND, to=1, message=1)
    kernel.clock.advance(TICK)
    received = kernel.mail.receive(1, 1)
    assert not isinstance(received, Deferred)
    assert len(received) == 1


def test_a_request_that_fails_leaves_nothing_to_the_collector_of_cycles() -> None:
    """Thousands may fail in a second, and collections hold all others up."""
    kernel = SlowKernel()
    before: list[bytes] = []
    for _ in range(2):  # what the first makes may stay
        gc.collect()
        gc.disable()
        try:
            reply = kernel.ask(Opcode.STORE, key="", value=1)
            reply.addCallback(before.append)
            kernel.clock.advance(TICK)
            del reply
            left = gc.collect()
        finally:
            gc.enable()
    assert b"invalid_request" in before[-1]
    assert left == 0
