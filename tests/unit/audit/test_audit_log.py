"""The audit log: a ring that agents cannot forge, flood out of bounds or switch off unseen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied
from clove.kernel.audit import AuditLimits, AuditLog, IAuditLog
from clove.kernel.audit.details import clean, details_json
from clove.kernel.calls import audit as calls
from clove.kernel.context import Context, Kernel
from clove.kernel.principal import Kind, Principal
from clove.messages import decode, encode
from clove.messages.audit import AuditEntry, GetAuditLogRequest, SetAuditConfigRequest
from clove.policy import Level, for_level


@pytest.fixture
def clock() -> Clock:
    return Clock()


def some(clock: Clock, **limits: int) -> AuditLog:
    return AuditLog(clock.seconds, AuditLimits(**limits))


def fill(log: AuditLog, number: int, category: str = "IPC", agent_id: int = 1) -> None:
    for _ in range(number):
        log.record(category, "SEND", agent_id, "ann", True, {})


def ids(entries: list[AuditEntry]) -> list[int]:
    return [entry.id for entry in entries]


def test_provides_the_interface(clock: Clock) -> None:
    verifyObject(IAuditLog, some(clock))


def test_an_entry_says_who_did_what_and_when(clock: Clock) -> None:
    log = some(clock)
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


def test_the_newest_come_without_since_and_the_first_after_it_with(clock: Clock) -> None:
    log = some(clock)
    fill(log, 10)
    assert ids(log.query(limit=3)) == [8, 9, 10]
    assert ids(log.query(since_id=4, limit=3)) == [5, 6, 7]
    assert ids(log.query(since_id=0, limit=2)) == [1, 2]
    assert ids(log.query(since_id=10)) == []
    assert ids(log.query(since_id=-5, limit=1)) == [1]
    assert ids(log.query(since_id=10**30)) == []


def test_entries_are_chosen_by_category_and_agent(clock: Clock) -> None:
    log = some(clock)
    for agent_id in (1, 2):
        for category in ("IPC", "NETWORK"):
            fill(log, 1, category, agent_id)
    assert ids(log.query("IPC")) == [1, 3]
    assert ids(log.query(agent_id=2)) == [3, 4]
    assert ids(log.query("NETWORK", 1)) == [2]
    assert ids(log.query("NETWORK", 1, since_id=2)) == []


def test_the_oldest_are_forgotten(clock: Clock) -> None:
    log = some(clock, max_entries=3)
    fill(log, 5)
    assert ids(log.query()) == [3, 4, 5]
    assert ids(log.query(since_id=1, limit=2)) == [3, 4]


def test_the_log_is_bounded_by_bytes(clock: Clock) -> None:
    log = some(clock, max_bytes=4000)
    for _ in range(100):
        log.record("IPC", "SEND", 1, "ann", True, {"text": "x" * 500})
    assert 3 <= len(log.query()) <= 5
    assert ids(log.query())[-1] == 100


def test_a_query_is_bounded(clock: Clock) -> None:
    log = some(clock, max_batch=2)
    fill(log, 5)
    assert ids(log.query(limit=10**30)) == [4, 5]


def test_calls_are_recorded_only_when_that_is_switched_on(clock: Clock) -> None:
    log = some(clock)
    fill(log, 1, "SYSCALL")
    assert log.query() == []
    log.configure(SetAuditConfigRequest(log_syscalls=True, log_ipc=False))
    fill(log, 1, "SYSCALL")
    fill(log, 1, "IPC")
    assert [entry.category for entry in log.query()] == ["SECURITY", "SYSCALL"]


def test_switching_off_is_itself_recorded(clock: Clock) -> None:
    log = some(clock)
    log.configure(SetAuditConfigRequest(log_security=False), 3, "root")
    fill(log, 1, "SECURITY")
    (entry,) = log.query()
    assert (entry.event_type, entry.agent_id) == ("AUDIT_CONFIG_CHANGED", 3)
    assert msgspec.json.decode(entry.details) == {"log_security": False}


def test_a_smaller_ring_forgets_at_once(clock: Clock) -> None:
    log = some(clock, ceiling=10)
    fill(log, 5)
    log.configure(SetAuditConfigRequest(max_entries=2))
    assert ids(log.query("IPC")) == [4, 5]
    assert ids(log.query()) == [4, 5, 6]  # the change itself has a ring of its own
    with pytest.raises(LimitExceeded):
        log.configure(SetAuditConfigRequest(max_entries=11))
    assert log.config.max_entries == 2


def test_an_unknown_category_is_a_bug(clock: Clock) -> None:
    with pytest.raises(KeyError):
        fill(some(clock), 1, "NO_SUCH")


def test_texts_cannot_fake_lines_or_harm_a_terminal(clock: Clock) -> None:
    log = some(clock)
    log.record("IPC", "SEND\n", 1, "a\x1b[2Jn", True, {"p\nath": "x\r\ny\0\u202ez\udcff\x9b"})
    (entry,) = log.query()
    assert (entry.event_type, entry.agent_name) == ("SEND ", "a[2Jn")
    assert msgspec.json.decode(entry.details) == {"p ath": "x yz"}


@pytest.mark.parametrize(
    "details",
    [
        {"text": "x" * 100_000},
        {str(number): "x" * 400 for number in range(1000)},
        {"list": [["x" * 500] * 1000] * 1000},
        {"n": 10**10_000},
        {"deep": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}},
    ],
)
def test_details_are_bounded(details: dict[str, object]) -> None:
    encoded = details_json(details, 4096, 512)
    assert len(encoded) <= 4096
    assert isinstance(msgspec.json.decode(encoded), dict)


def test_details_that_were_cut_say_so() -> None:
    encoded = details_json({"a": 1, "b": "x" * 90}, 60, 512)
    assert msgspec.json.decode(encoded) == {"a": 1, "truncated": True}
    assert msgspec.json.decode(details_json({"b": "x" * 90}, 60, 512)) == {"truncated": True}


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text(), _anything))
def test_any_details_become_json_that_can_be_printed(details: dict[str, object]) -> None:
    text = details_json(details, 300, 50).decode()
    assert len(text.encode()) <= 300
    assert isinstance(msgspec.json.decode(text), dict)
    assert text.isprintable()


@settings(deadline=None, derandomize=True, database=None)
@given(st.text())
def test_clean_text_stays_as_it_is(text: str) -> None:
    once = clean(text, 1000)
    assert once.isprintable()
    assert clean(once, 1000) == once


# the calls


def principal(id: int, kind: Kind) -> Principal:
    return Principal(id, kind, for_level(Level.STANDARD), name=f"p{id}")


def context(log: AuditLog, who: Principal) -> Context:
    return Context(
        cast(Kernel, SimpleNamespace(audit=log, registry=SimpleNamespace(get=lambda _: None))), who
    )


def get(log: AuditLog, who: Principal, request: bytes = b"") -> Any:
    reply = calls.get_audit_log(context(log, who), decode(GetAuditLogRequest, request))
    return msgspec.json.decode(encode(reply))


def test_an_operator_sees_all_and_an_agent_its_own(clock: Clock) -> None:
    log = some(clock)
    fill(log, 1, agent_id=1)
    fill(log, 1, agent_id=2)
    assert get(log, principal(9, Kind.OPERATOR))["count"] == 2
    assert get(log, principal(9, Kind.OPERATOR), b'{"agent_id": 2}')["count"] == 1
    for kind in (Kind.AGENT, Kind.GUEST):
        own = get(log, principal(2, kind))
        assert [entry["agent_id"] for entry in own["entries"]] == [2]
        assert get(log, principal(2, kind), b'{"agent_id": 2}') == own
        with pytest.raises(PermissionDenied) as caught:
            get(log, principal(2, kind), b'{"agent_id": 1}')
        assert caught.value.rule == "operator"


@pytest.mark.parametrize("request_", [b'{"category": "X"}', b'{"limit": 0}', b'{"since_id": "1"}'])
def test_a_query_must_make_sense(clock: Clock, request_: bytes) -> None:
    with pytest.raises(InvalidRequest):
        get(some(clock), principal(9, Kind.OPERATOR), request_)


def test_only_an_operator_changes_what_is_recorded(clock: Clock) -> None:
    log = some(clock)
    request = decode(SetAuditConfigRequest, b'{"log_ipc": false, "max_entries": 5}')
    for kind in (Kind.AGENT, Kind.GUEST):
        with pytest.raises(PermissionDenied) as caught:
            calls.set_audit_config(context(log, principal(2, kind)), request)
        assert caught.value.rule == "operator"
    assert log.query() == []
    reply = calls.set_audit_config(context(log, principal(9, Kind.OPERATOR)), request)
    config = msgspec.json.decode(encode(reply))["config"]
    assert (config["log_ipc"], config["max_entries"], config["log_state"]) == (False, 5, True)


@pytest.mark.parametrize("request_", [b'{"max_entries": 0}', b'{"log_ipc": 1}'])
def test_a_configuration_must_make_sense(request_: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(SetAuditConfigRequest, request_)
