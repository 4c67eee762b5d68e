"""No child has larger limits than its parent."""

from __future__ import annotations

from typing import Any

import pytest

from clove.errors import InvalidRequest, PermissionDenied
from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.resource_limits import (
    ResourceLimits,
    check_children,
    settle_limits,
    within_parent,
)
from clove.messages.agents import LimitsRequest

DEFAULTS = AgentLimits()


def settled(**named: Any) -> ResourceLimits:
    return settle_limits(LimitsRequest(**named), DEFAULTS)


SMALL = settled(memory=64 << 20, max_pids=8, cpu_quota=50_000, cpu_shares=512)


@pytest.mark.parametrize(
    ("named", "rule"),
    [
        ({"memory": 65 << 20}, "limits.memory"),
        ({"max_pids": 9}, "limits.max_pids"),
        ({"cpu_shares": 513}, "limits.cpu_shares"),
        ({"cpu_quota": 50_001}, "limits.cpu_quota"),
        ({"cpu_quota": 25_000, "cpu_period": 40_000}, "limits.cpu_quota"),
        ({"cpu_period": 1000}, "limits.cpu_period"),
        ({"tmp": (128 << 20) + 1}, "limits.tmp"),
        ({"shm": (32 << 20) + 1}, "limits.shm"),
    ],
)
def test_more_by_name_is_refused(named: dict[str, int], rule: str) -> None:
    with pytest.raises(PermissionDenied) as refused:
        within_parent(settled(**named), SMALL)
    assert refused.value.rule == rule
    assert "parent's" in refused.value.message


def test_defaults_are_cut_to_the_parents() -> None:
    found = within_parent(settled(), SMALL)
    assert found.cut == {"memory", "max_pids", "cpu_quota", "cpu_period", "cpu_shares"}
    assert (found.memory, found.max_pids) == (64 << 20, 8)
    assert (found.cpu_quota, found.cpu_period, found.cpu_shares) == (50_000, 100_000, 512)


def test_as_much_or_less_is_given() -> None:
    for named in ({"memory": 64 << 20}, {"max_pids": 1}, {"cpu_quota": 5000, "cpu_period": 10_000}):
        found = within_parent(settled(**named), SMALL)
        assert {field: getattr(found, field) for field in named} == named
    assert within_parent(SMALL, SMALL).cut == frozenset()


def test_room_for_temporary_files_comes_with_the_memory_unless_it_is_named() -> None:
    assert SMALL.tmpfs == {"/tmp": 128 << 20, "/dev/shm": 32 << 20}
    assert settled(tmp=1 << 30, shm=2 << 20).tmpfs == {"/tmp": 1 << 30, "/dev/shm": 2 << 20}
    assert settled(memory=1 << 40).tmpfs == {"/tmp": 4 << 30, "/dev/shm": 4 << 30}
    tight = settled(tmp=1 << 20, shm=1 << 20)
    assert within_parent(settled(), tight).tmpfs == tight.tmpfs
    assert within_parent(settled(), tight).cut == {"tmp", "shm"}


@pytest.mark.parametrize(
    ("child", "after", "words"),
    [
        ({"memory": 65 << 20}, {"memory": 64 << 20}, "memory"),
        ({"max_pids": 30}, {"max_pids": 8}, "max_pids 30"),
        ({"tmp": 3 << 20}, {"tmp": 2 << 20}, "tmp 3145728"),
        ({}, {"tmp": 2 << 20}, "tmp 536870912"),
        ({"cpu_quota": 60_000}, {"cpu_quota": 50_000}, "cpu_quota 60000"),
    ],
)
def test_no_agent_gets_less_than_what_it_has_started(
    child: dict[str, int], after: dict[str, int], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        check_children(settled(), settled(**after), [("bee", settled(**child))])
    assert "'bee'" in refused.value.message


def test_what_a_child_has_more_of_already_is_no_reason() -> None:
    check_children(SMALL, settled(memory=64 << 20, max_pids=7), [("bee", settled(max_pids=7))])


def test_a_grandchild_is_held_to_the_smallest_above_it() -> None:
    child = within_parent(settled(memory=32 << 20), SMALL)
    assert within_parent(settled(), child).memory == 32 << 20


def test_nothing_bounds_what_an_operator_spawns() -> None:
    large = settled(memory=1 << 40)
    assert within_parent(large, None) is large
