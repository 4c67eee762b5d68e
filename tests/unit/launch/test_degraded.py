"""What is said of an isolation that is not full."""

from __future__ import annotations

from msgspec.structs import replace

from clove.kernel.launch.launch import what_is_missing
from clove.sandbox.spec import REPORTED, Isolation

FULL = Isolation(
    namespaces=dict.fromkeys(REPORTED, True),
    cgroup=True,
    memory_limit=True,
    cpu_quota=True,
    pids_limit=True,
    seccomp=True,
)


def test_nothing_is_said_of_a_full_one() -> None:
    assert what_is_missing(FULL, {}) == ""


def test_a_limit_of_private_memory_is_not_called_more_than_that() -> None:
    said = what_is_missing(replace(FULL, memory_limit=False), {"data": 1234})
    assert "each process may have 1234 bytes of private memory" in said
    assert "MAP_SHARED" in said
    assert "together" in said
    assert "processes and threads" not in said
    assert "raises" not in said


def test_a_limit_that_programs_may_raise_is_called_so() -> None:
    said = what_is_missing(replace(FULL, memory_limit=False), {"data": 1234}, ("data",))
    assert "1234 bytes of private memory (rlimits), until it raises that (ulimit -d)" in said


def test_a_limit_that_is_watched_is_called_so() -> None:
    said = what_is_missing(replace(FULL, memory_limit=False), {}, watched=1234)
    assert "a look finds that its processes have 1234 bytes together" in said
    assert "memfd" in said
    assert "not limited" not in said


def test_what_is_not_limited_at_all_is_told_so() -> None:
    said = what_is_missing(Isolation(), {})
    for part in ("without namespaces", "memory is not limited", "processes are not limited"):
        assert part in said


def test_a_namespace_that_is_missing_is_named() -> None:
    less = replace(FULL, namespaces={**FULL.namespaces, "net": False})
    assert what_is_missing(less, {}) == "without a namespace of its own: net"


def test_how_processes_are_counted_is_told() -> None:
    said = what_is_missing(replace(FULL, pids_limit=False), {"nproc": 66})
    assert "66 processes and threads" in said
