"""Entries of what was done: read as if their JSON had been made at once, and small whatever the request was."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from clove.kernel.audit import AuditLimits, AuditLog
from clove.kernel.audit.entries import OVERHEAD, Done
from clove.kernel.audit.ring import shown_fields
from tests.audit_entries import queried

_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.text("ab\\\x1b\x7f\n", min_size=150, max_size=300)
    | st.lists(st.text())
)


@given(
    st.lists(_values, max_size=4),
    st.text(max_size=20),
    st.sampled_from((AuditLimits(), AuditLimits(max_text=7), AuditLimits(max_details_bytes=20))),
    st.sampled_from(("IPC", "SECURITY")),
)
def test_it_reads_as_if_its_json_had_been_made_at_once(
    values: list[Any], name: str, limits: AuditLimits, category: str
) -> None:
    fields = {f"field_{number}": value for number, value in enumerate(values)}
    log = AuditLog(Clock().seconds, limits)
    request = SimpleNamespace(**fields)
    log.recorder(category, "SEND", (*fields,))(3, name, request, 5)
    log.record(category, "SEND", 3, name, True, shown_fields(request, (*fields,)), 5)
    read, wanted = queried(log)
    assert bytes(read.details) == bytes(wanted.details)
    assert msgspec.structs.replace(read, id=wanted.id, details=wanted.details) == wanted


@given(_values, _values)
def test_all_that_is_kept_counts(first: Any, second: Any) -> None:
    log = AuditLog(Clock().seconds)
    request = SimpleNamespace(first=first, second=second)
    log.recorder("IPC", "SEND", ("first", "second"))(3, "ann", request, 5)
    ((entry,),) = log._ring.families
    kept = (entry.first, entry.second) if isinstance(entry, Done) else (entry.details,)
    texts = [each for each in kept if isinstance(each, (str, bytes))]
    assert all(isinstance(each, bytes) or each.isascii() for each in texts)
    assert log._ring.size == entry.size >= OVERHEAD + len("annSEND") + sum(map(len, texts))


@pytest.mark.parametrize(
    "key",
    ["x" * 201, "x" * 100_000, "ä" * 100, ["x" * 100]],
    ids=["just too long", "long", "not ASCII", "no text"],
)
def test_nothing_large_of_a_request_is_kept(key: object) -> None:
    log = AuditLog(Clock().seconds)
    request = SimpleNamespace(key=key, value=msgspec.Raw(b"1" * 100_000))
    before = [sys.getrefcount(each) for each in (request, request.key, request.value)]
    log.recorder("STATE_STORE", "STORE", ("key",))(3, "ann", request, 5)
    assert [sys.getrefcount(each) for each in (request, request.key, request.value)] == before
    assert log._ring.size < 1200
    assert len(queried(log)) == 1


def test_a_field_that_a_request_has_not_is_null() -> None:
    log = AuditLog(Clock().seconds)
    log.recorder("IPC", "SEND", ("to", "missing"))(3, "ann", SimpleNamespace(to=4), 5)
    (entry,) = queried(log)
    assert bytes(entry.details) == b'{"to":4,"missing":null}'
