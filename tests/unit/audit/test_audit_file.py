"""The file of refusals: what is written whole, what is counted, and a disk that does not work."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogPublisher, globalLogPublisher
from zope.interface import implementer

from clove.kernel.audit import AuditLimits, AuditLog, SecurityFile
from clove.kernel.audit.file import GATHER, GATHERED_BYTES


class Disk:
    """Takes batches; each is done when it is told so."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.waiting: list[Deferred[None]] = []
        self.at_once = True
        self.full = False

    def append(self, lines: Callable[[], bytes]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.waiting.append(done)
        self.batches.append(lines())
        if self.at_once:
            self.end()
        return done

    def end(self) -> None:
        done = self.waiting.pop()
        if self.full:
            self.batches.pop()
            done.errback(OSError(28, "No space left on device"))
        else:
            done.callback(None)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in b"".join(self.batches).splitlines() if line]


class Recorded:
    """An audit log with a file."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.disk = Disk()
        bounds = AuditLimits(**limits)
        self.file = SecurityFile(self.clock, self.disk.append, bounds, self.clock.seconds)
        self.log = AuditLog(self.clock.seconds, bounds, self.file)

    def refuse(self, rule: object = "can_read", family: int = 1, agent_id: int = 0) -> None:
        self.log.record(
            "SECURITY",
            "PERMISSION_DENIED",
            agent_id or family,
            "ann",
            False,
            {"rule": rule},
            family,
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All, once what came is gathered."""
        self.clock.advance(GATHER)
        return self.disk.lines

    def types(self) -> list[str]:
        return [line["event_type"] for line in self.lines]


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_refusals_and_lives_are_written_and_nothing_else(recorded: Recorded) -> None:
    recorded.refuse()
    recorded.log.record("AGENT_LIFECYCLE", "AGENT_SPAWNED", 3, "bob", True, {"pid": 1}, 1)
    recorded.log.record("NETWORK", "CONNECTION_REFUSED", 3, "bob", False, {}, 1)
    recorded.log.record("NETWORK", "CONNECTION_ENDED", 3, "bob", True, {}, 1)
    recorded.log.record("IPC", "SEND", 3, "bob", False, {}, 1)
    assert recorded.types() == ["PERMISSION_DENIED", "AGENT_SPAWNED", "CONNECTION_REFUSED"]
    assert recorded.lines[0] == {
        "id": 1,
        "timestamp": "1970-01-01T00:00:00.000Z",
        "category": "SECURITY",
        "event_type": "PERMISSION_DENIED",
        "agent_id": 1,
        "agent_name": "ann",
        "success": False,
        "details": {"rule": "can_read"},
    }


def test_what_is_switched_off_is_not_written(recorded: Recorded) -> None:
    from clove.messages.audit import SetAuditConfigRequest

    recorded.log.configure(SetAuditConfigRequest(log_security=False))
    recorded.refuse()
    assert recorded.types() == ["AUDIT_CONFIG_CHANGED"]


def test_repeats_are_counted_and_told_once_a_minute(recorded: Recorded) -> None:
    for _ in range(1000):
        recorded.refuse()
    recorded.refuse(agent_id=9)
    assert recorded.types() == ["PERMISSION_DENIED"] * 2
    recorded.clock.advance(60)
    assert recorded.lines[2]["details"] == {
        "family": 1,
        "repeated": {"1": 999},
        "left_out": 0,
    }
    assert recorded.clock.getDelayedCalls() == []
    recorded.refuse()
    recorded.clock.advance(GATHER)
    recorded.clock.advance(60)
    assert recorded.lines[3]["details"]["repeated"] == {"1": 1}


def test_a_flood_of_different_refusals_of_one_family_leaves_the_others_room() -> None:
    recorded = Recorded(file_entries=10)
    for number in range(500):
        recorded.refuse(number)
    recorded.refuse(family=2)
    recorded.log.record("AGENT_LIFECYCLE", "AGENT_SPAWNED", 1, "ann", True, {}, 1)
    assert recorded.types() == ["PERMISSION_DENIED"] * 11 + ["AGENT_SPAWNED"]
    recorded.clock.advance(60)
    assert recorded.lines[-1]["details"] == {"family": 1, "repeated": {}, "left_out": 490}
    recorded.clock.advance(3600)
    recorded.refuse("something new")
    assert recorded.types()[-1] == "PERMISSION_DENIED"


def test_families_without_number_share_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clove.kernel.audit.digest.MAX_SHARES", 5)
    recorded = Recorded(file_entries=3)
    for family in range(1, 50):
        recorded.refuse(family=family)
    assert len(recorded.lines) == 5 + 3
    assert len(recorded.file._digest._shares) == 6


def test_a_slow_disk_is_not_waited_for_and_what_does_not_fit_is_counted() -> None:
    recorded = Recorded(file_unwritten=1000, file_entries=1000)
    recorded.disk.at_once = False
    for number in range(100):
        recorded.refuse(number)
    assert len(recorded.disk.waiting) == 1  # one batch at a time
    recorded.clock.advance(GATHER)
    recorded.disk.end()
    recorded.disk.end()
    lines = recorded.lines
    lost = next(line for line in lines if line["event_type"] == "LINES_LOST")
    assert lost["details"]["lines"] == 100 - (len(lines) - 1)
    assert len(lines) < 10


def test_a_full_disk_is_said_once_and_then_what_is_missing() -> None:
    recorded = Recorded()
    recorded.disk.full = True
    said: list[str] = []

    @implementer(ILogObserver)
    def watch(event: Any) -> None:
        if event["log_namespace"].endswith("SecurityFile"):
            said.append(event["log_level"].name)

    assert isinstance(globalLogPublisher, LogPublisher)
    globalLogPublisher.addObserver(watch)
    try:
        for number in range(5):
            recorded.refuse(number)
            recorded.clock.advance(GATHER)
        recorded.disk.full = False
        recorded.refuse("last")
        recorded.clock.advance(GATHER)
    finally:
        globalLogPublisher.removeObserver(watch)
    assert said == ["warn", "info"]
    assert recorded.disk.batches[0].startswith(b"\n")  # a part of a line may be there
    [lost, last] = recorded.lines
    assert (lost["event_type"], lost["details"]) == ("LINES_LOST", {"lines": 5})
    assert last["details"] == {"rule": "last"}


def test_what_comes_within_a_moment_is_written_in_one_batch(recorded: Recorded) -> None:
    recorded.refuse("first")
    recorded.clock.advance(GATHER / 2)
    recorded.refuse("second")
    assert recorded.disk.batches == []
    recorded.clock.advance(GATHER / 2)
    assert len(recorded.disk.batches) == 1
    assert [line["timestamp"][-5:] for line in recorded.disk.lines] == [".000Z", ".025Z"]
    assert recorded.clock.getDelayedCalls() == []


def test_a_flood_within_a_moment_takes_neither_memory_nor_the_place_of_another_family(
    recorded: Recorded,
) -> None:
    for number in range(20_000):
        recorded.refuse(number)
        assert recorded.file._waiting_size <= GATHERED_BYTES
    recorded.refuse(family=2)
    assert [line["agent_id"] for line in recorded.lines] == [1] * 100 + [2]


def test_an_entry_counts_for_the_period_in_which_it_came() -> None:
    recorded = Recorded(file_entries=1, file_period=10)
    recorded.refuse("first")
    recorded.clock.advance(10 - GATHER / 2)
    recorded.refuse("of the same period")
    recorded.clock.advance(GATHER)  # the next one has begun
    assert recorded.types() == ["PERMISSION_DENIED"]
    recorded.refuse("of the next")
    assert recorded.types() == ["PERMISSION_DENIED"] * 2


def test_closing_writes_at_once_what_waits_for_others(recorded: Recorded) -> None:
    recorded.refuse()
    assert recorded.file.close().called
    assert [line["event_type"] for line in recorded.disk.lines] == ["PERMISSION_DENIED"]
    assert recorded.clock.getDelayedCalls() == []


def test_closing_writes_what_has_been_counted_and_waits_for_the_disk(recorded: Recorded) -> None:
    recorded.refuse()
    recorded.refuse()
    recorded.disk.at_once = False
    closed = recorded.file.close()
    assert not closed.called
    recorded.refuse("too late")
    recorded.disk.end()
    assert closed.called
    assert recorded.types() == ["PERMISSION_DENIED", "ENTRIES_COUNTED"]
    assert recorded.clock.getDelayedCalls() == []
    assert recorded.file.close() is closed
