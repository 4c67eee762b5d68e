"""What every implementation of L{IAuditLog} must do.

Agents cannot forge what it holds, flood it out of its bounds or switch it off unseen.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from clove.errors import LimitExceeded
from clove.kernel.audit import AuditLimits
from clove.messages.audit import AuditEntry, SetAuditConfigRequest
from clove.messages.state import StoreRequest
from tests.contracts.answers import Settled

__all__ = ["AuditContract", "fill", "ids"]


def fill(log: Any, number: int, category: str = "IPC", agent_id: int = 1) -> None:
    for _ in range(number):
        log.record(category, "SEND", agent_id, "ann", True, {})


def ids(entries: list[AuditEntry]) -> list[int]:
    return [entry.id for entry in entries]


class AuditContract:
    """For a test class that says how its log is made."""

    def make(self, clock: Clock, limits: AuditLimits) -> Any:
        """An empty log whose wall clock is this one."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    def some(self, clock: Clock, **limits: int) -> Any:
        """A log whose answers are waited for."""
        return Settled(clock, self.make(clock, AuditLimits(**limits)))

    def test_an_entry_has_principal_action_and_time(self, clock: Clock) -> None:
        log = self.some(clock)
        clock.advance(1_700_000_000.1234)
        log.record("SECURITY", "PERMISSION_DENIED", 7, "ann", False, {"rule": "x", "n": [1, None]})
        (entry,) = log.query()
        assert msgspec.to_builtins(entry, builtin_types=(msgspec.Raw,)) == {
            "id": 1,
            "timestamp": "2023-11-14T22:13:20.123Z",
            "category": "SECURITY",
            "event_type": "PERMISSION_DENIED",
            "agent_id": 7,
            "agent_name": "ann",
            "success": False,
            "details": entry.details,
        }
        assert msgspec.json.decode(entry.details) == {"rule": "x", "n": [1, None]}

    def test_what_was_done_is_recorded_as_with_its_details(self, clock: Clock) -> None:
        log = self.some(clock)
        record = log.recorder("STATE_STORE", "STORE", ("key", "scope"))
        clock.advance(12.5)
        record(7, "ann", StoreRequest(key="k", value=msgspec.Raw(b"1")), 7)
        log.record("STATE_STORE", "STORE", 7, "ann", True, {"key": "k", "scope": "global"}, 7)
        first, second = log.query("STATE_STORE", 7)
        assert msgspec.structs.replace(second, id=first.id, details=first.details) == first
        assert bytes(first.details) == bytes(second.details) == b'{"key":"k","scope":"global"}'

    def test_what_is_switched_off_is_not_recorded_when_it_is_done(self, clock: Clock) -> None:
        log = self.some(clock)
        record = log.recorder("STATE_STORE", "STORE", ("key",))
        for on in (False, True):
            log.configure(SetAuditConfigRequest(log_state=on))
            record(7, "ann", StoreRequest(key=str(on), value=msgspec.Raw(b"1")), 7)
        assert [bytes(entry.details) for entry in log.query("STATE_STORE")] == [b'{"key":"True"}']

    def test_the_newest_come_without_since_and_the_first_after_it_with(self, clock: Clock) -> None:
        log = self.some(clock)
        fill(log, 10)
        assert ids(log.query(limit=3)) == [8, 9, 10]
        assert ids(log.query(since_id=4, limit=3)) == [5, 6, 7]
        assert ids(log.query(since_id=0, limit=2)) == [1, 2]
        assert ids(log.query(since_id=10)) == []
        assert ids(log.query(since_id=-5, limit=1)) == [1]
        assert ids(log.query(since_id=10**30)) == []

    def test_entries_are_chosen_by_category_and_agent(self, clock: Clock) -> None:
        log = self.some(clock)
        for agent_id in (1, 2):
            for category in ("IPC", "NETWORK"):
                fill(log, 1, category, agent_id)
        assert ids(log.query("IPC")) == [1, 3]
        assert ids(log.query(agent_id=2)) == [3, 4]
        assert ids(log.query("NETWORK", 1)) == [2]
        assert ids(log.query("NETWORK", 1, since_id=2)) == []

    def test_the_oldest_are_forgotten(self, clock: Clock) -> None:
        log = self.some(clock, max_entries=3)
        fill(log, 5)
        assert ids(log.query()) == [3, 4, 5]
        assert ids(log.query(since_id=1, limit=2)) == [3, 4]

    def test_the_log_is_bounded_by_bytes(self, clock: Clock) -> None:
        log = self.some(clock, max_bytes=4000)
        for _ in range(100):
            log.record("IPC", "SEND", 1, "ann", True, {"text": "x" * 500})
        assert 3 <= len(log.query()) <= 5
        assert ids(log.query())[-1] == 100

    def test_a_query_is_bounded(self, clock: Clock) -> None:
        log = self.some(clock, max_batch=2)
        fill(log, 5)
        assert ids(log.query(limit=10**30)) == [4, 5]

    def test_calls_are_recorded_only_when_that_is_switched_on(self, clock: Clock) -> None:
        log = self.some(clock)
        fill(log, 1, "SYSCALL")
        assert log.query() == []
        log.configure(SetAuditConfigRequest(log_syscalls=True, log_ipc=False))
        fill(log, 1, "SYSCALL")
        fill(log, 1, "IPC")
        assert [entry.category for entry in log.query()] == ["SECURITY", "SYSCALL"]

    def test_switching_off_is_itself_recorded(self, clock: Clock) -> None:
        log = self.some(clock)
        log.configure(SetAuditConfigRequest(log_security=False), 3, "root")
        fill(log, 1, "SECURITY")
        (entry,) = log.query()
        assert (entry.event_type, entry.agent_id) == ("AUDIT_CONFIG_CHANGED", 3)
        assert msgspec.json.decode(entry.details) == {"log_security": False}

    def test_a_smaller_ring_forgets_at_once(self, clock: Clock) -> None:
        log = self.some(clock, ceiling=10)
        fill(log, 5)
        log.configure(SetAuditConfigRequest(max_entries=2))
        assert ids(log.query("IPC")) == [4, 5]
        assert ids(log.query()) == [4, 5, 6]  # the change itself has a ring of its own
        with pytest.raises(LimitExceeded):
            log.configure(SetAuditConfigRequest(max_entries=11))
        assert log.config.max_entries == 2

    def test_an_unknown_category_is_a_bug(self, clock: Clock) -> None:
        with pytest.raises(KeyError):
            fill(self.some(clock), 1, "NO_SUCH")

    def test_texts_cannot_fake_lines_or_harm_a_terminal(self, clock: Clock) -> None:
        log = self.some(clock)
        log.record("IPC", "SEND\n", 1, "a\x1b[2Jn", True, {"p\nath": "x\r\ny\0\u202ez\udcff\x9b"})
        (entry,) = log.query()
        assert (entry.event_type, entry.agent_name) == ("SEND ", "a[2Jn")
        assert msgspec.json.decode(entry.details) == {"p ath": "x yz"}
