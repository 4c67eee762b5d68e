"""Which switch each syscall needs, and what that makes of the levels."""

from __future__ import annotations

from typing import Any

import pytest

from clove.framing import Opcode
from clove.kernel.table import TABLE
from clove.policy import FLAGS, for_level, narrow, parse

CHANGING = ("SEND", "BROADCAST", "REGISTER", "STORE", "DELETE", "EMIT")
SHARED = ("RECV", "ACK", "FETCH", "KEYS", "SUBSCRIBE", "POLL_EVENTS")


LINES = {Opcode(opcode).name: line for opcode, line in TABLE.items()}


def may(permissions: Any, syscall: str) -> bool:
    return LINES[syscall].is_permitted(permissions)


def test_what_is_needed_is_a_switch_and_every_switch_is_needed() -> None:
    assert {flag for line in LINES.values() for flag in line.needs} == set(FLAGS)


def test_changing_needs_one_switch_and_reading_what_is_shared_one_of_two() -> None:
    for name in CHANGING:
        assert len(LINES[name].needs) == 1
    for name in SHARED:
        assert LINES[name].needs[1:] == ("can_read",)


def test_what_is_judged_by_arguments_needs_a_switch_as_well() -> None:
    """Else dispatch would let it through, and WHY alone would refuse it."""
    judged = {name: line.needs for name, line in LINES.items() if line.by_arguments is not None}
    files = dict.fromkeys(("READ", "LISTDIR", "STAT", "WATCH"), ("can_read",))
    files |= dict.fromkeys(("WRITE", "MKDIR", "MOVE", "REMOVE"), ("can_write",))
    others = {name: (f"can_{name.lower()}",) for name in ("EXEC", "HTTP", "SPAWN")}
    assert judged == files | others


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
    assert {name for name in LINES if LINES[name].needs and may(permissions, name)} == {"THINK"}


def test_a_principal_that_may_change_what_is_shared_may_read_it() -> None:
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
    assert LINES[name].explain(for_level("readonly"), {}).rule == "level: readonly"
    assert LINES[name].explain(for_level("standard"), {}).allowed


def test_a_switch_turned_off_is_named_itself() -> None:
    assert LINES["STORE"].explain(parse("standard", {"can_store": False}), {}).rule == "can_store"
