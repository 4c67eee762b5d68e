"""The audit log in memory, at once and as one on a disk would answer; details; the calls."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.audit import AuditLimits, AuditLog, IAuditLog
from clove.kernel.audit.entries import clean, details_json
from clove.kernel.calls import audit as calls
from clove.kernel.context import Context, Kernel
from clove.kernel.principal import Kind, Principal
from clove.messages import decode, encode
from clove.messages.audit import GetAuditLogRequest, SetAuditConfigRequest
from clove.policy import Level, for_level
from tests.contracts.answers import Slow, settled
from tests.contracts.audit import AuditContract, fill, ids

NO_ANSWER = frozenset({"record", "recorder"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestInMemory(AuditContract):
    """It answers at once."""

    def make(self, clock: Clock, limits: AuditLimits) -> Any:
        return AuditLog(clock.seconds, limits)

    def test_it_answers_at_once(self, clock: Clock) -> None:
        log = self.make(clock, AuditLimits())
        fill(log, 1)
        assert ids(log.query()) == [1]
        assert log.configure(SetAuditConfigRequest()) == log.config


class TestSlow(AuditContract):
    """It answers a moment later."""

    def make(self, clock: Clock, limits: AuditLimits) -> Any:
        return Slow(clock, AuditLog(clock.seconds, limits), NO_ANSWER)


def some(clock: Clock, **limits: int) -> AuditLog:
    return AuditLog(clock.seconds, AuditLimits(**limits))


def test_provides_the_interface(clock: Clock) -> None:
    verifyObject(IAuditLog, some(clock))


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
@given(st.dictionaries(st.text(), _anything, max_size=4))
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


def context(log: Any, who: Principal) -> Context:
    return Context(
        cast(Kernel, SimpleNamespace(audit=log, registry=SimpleNamespace(get=lambda _: None))), who
    )


def get(log: Any, who: Principal, request: bytes = b"") -> Any:
    reply = calls.get_audit_log(context(log, who), decode(GetAuditLogRequest, request))
    return msgspec.json.decode(encode(reply))


def test_an_operator_sees_all_and_an_agent_its_own(clock: Clock) -> None:
    log = some(clock)
    fill(log, 1, agent_id=1)
    fill(log, 1, agent_id=2)
    assert get(log, principal(9, Kind.OPERATOR))["count"] == 2
    assert get(log, principal(9, Kind.OPERATOR), b'{"agent_id": 2}')["count"] == 1
    for asked in (b'{"limit": 0}', b'{"limit": 0, "since_id": 1}'):
        assert get(log, principal(9, Kind.OPERATOR), asked)["entries"] == []
    for kind in (Kind.AGENT, Kind.GUEST):
        own = get(log, principal(2, kind))
        assert [entry["agent_id"] for entry in own["entries"]] == [2]
        assert get(log, principal(2, kind), b'{"agent_id": 2}') == own
        with pytest.raises(PermissionDenied) as caught:
            get(log, principal(2, kind), b'{"agent_id": 1}')
        assert caught.value.rule == "operator"


@pytest.mark.parametrize("request_", [b'{"category": "X"}', b'{"limit": -1}', b'{"since_id": "1"}'])
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


def test_the_calls_wait_for_a_log_that_takes_its_time(clock: Clock) -> None:
    log = some(clock)
    fill(log, 2)
    operator = context(Slow(clock, log, NO_ANSWER), principal(9, Kind.OPERATOR))
    entries: Any = calls.get_audit_log(operator, GetAuditLogRequest())
    assert settled(clock, Deferred.fromCoroutine(entries)).count == 2
    request = SetAuditConfigRequest(log_ipc=False)
    config: Any = calls.set_audit_config(operator, request)
    assert settled(clock, Deferred.fromCoroutine(config)).config.log_ipc is False
