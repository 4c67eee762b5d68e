"""Which switch each syscall needs, and what that makes of the levels."""

from __future__ import annotations

from typing import Any

import pytest

from clove.kernel.table import TABLE
from clove.policy import FLAGS, NEEDS, check_needs, explain, for_level, narrow, parse

CHANGING = ("SEND", "BROADCAST", "REGISTER", "STORE", "DELETE", "EMIT")
SHARED = ("RECV", "ACK", "FETCH", "KEYS", "SUBSCRIBE", "POLL_EVENTS")


def may(permissions: Any, syscall: str) -> bool:
    decision = check_needs(permissions, syscall)
    return decision is None or decision.allowed


def test_what_is_named_is_a_syscall_and_a_switch() -> None:
    names = {opcode.name for opcode in TABLE}  # type: ignore[attr-defined]
    assert set(NEEDS) <= names
    assert {flag for flags in NEEDS.values() for flag in flags} == set(FLAGS)
    assert {opcode.name: line.needs for opcode, line in TABLE.items() if line.needs} == NEEDS  # type: ignore[attr-defined]


@pytest.mark.parametrize("level", ["unrestricted", "standard", "sandboxed"])
def test_working_levels_share(level: str) -> None:
    permissions = for_level(level)
    assert all(may(permissions, name) for name in (*CHANGING, *SHARED))


def test_readonly_reads_what_is_shared_and_changes_nothing() -> None:
    permissions = for_level("readonly")
    assert all(may(permissions, name) for name in (*SHARED, "READ", "THINK"))
    assert not any(may(permissions, name) for name in (*CHANGING, "WRITE", "EXEC"))


def test_minimal_thinks_only() -> None:
    permissions = for_level("minimal")
    assert {name for name in NEEDS if may(permissions, name)} == {"THINK"}


def test_who_may_change_what_is_shared_may_read_it() -> None:
    permissions = parse("standard", {"can_read": False})
    assert all(may(permissions, name) for name in (*CHANGING, *SHARED))


@pytest.mark.parametrize("level", ["readonly", "minimal"])
@pytest.mark.parametrize("mapping", [{}, {"can_think": True}, {"max_llm_calls": 3}])
def test_what_does_not_name_the_switches_widens_nothing(level: str, mapping: Any) -> None:
    for asked in (parse(level, mapping), parse(None, mapping, for_level(level))):
        assert not any(may(asked, name) for name in CHANGING)


def test_a_custom_object_upon_standard_keeps_them() -> None:
    assert all(may(parse(None, {"can_exec": False}), name) for name in CHANGING)


@pytest.mark.parametrize("flag", ["can_message", "can_store", "can_emit"])
def test_a_child_never_has_one_that_its_parent_lacks(flag: str) -> None:
    parent = parse("standard", {flag: False})
    assert getattr(narrow(parent, for_level("standard")), flag) is False


@pytest.mark.parametrize("name", CHANGING)
def test_why_names_the_rule(name: str) -> None:
    assert explain(for_level("readonly"), name, {}).rule == "level: readonly"
    assert explain(for_level("standard"), name, {}).allowed


def test_a_switch_turned_off_is_named_itself() -> None:
    assert explain(parse("standard", {"can_store": False}), "STORE", {}).rule == "can_store"
