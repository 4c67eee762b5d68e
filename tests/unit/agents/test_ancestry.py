"""Whose process it is that comes to the main socket, on a process table of the test's own."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.agents.ancestry import AgentFinder
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level

KERNEL = os.getpid()
HELPER, MAIN = KERNEL + 1, KERNEL + 2
SHELL = KERNEL + 50


class Record:
    def __init__(self, pid: int, state: str = "running", *, sandboxed: bool = False) -> None:
        self.pid = pid
        self.state = state
        self.principal = Principal(
            7, Kind.AGENT, for_level(Level.STANDARD), name="a", sandboxed=sandboxed
        )


def finder(record: Record, **processes: tuple[int, int]) -> AgentFinder:
    """@param processes: pNUMBER=(parent, session), NUMBER counted from the kernel's pid."""
    table = {KERNEL + int(name[1:]): facts for name, facts in processes.items()}
    return AgentFinder(lambda: cast("Any", [record]), table.get)


FAMILY = {"p1": (KERNEL, HELPER), "p2": (HELPER, MAIN), "p50": (1, SHELL)}


@pytest.mark.parametrize(
    ("pid", "facts"),
    [
        (MAIN, FAMILY["p2"]),
        (KERNEL + 9, (MAIN, MAIN)),
        (KERNEL + 9, (MAIN, KERNEL + 9)),  # its own session
        (KERNEL + 9, (1, MAIN)),  # its helper is gone, the session is not
        (KERNEL + 9, (HELPER, KERNEL + 9)),  # EXEC, or an orphan in a new session
    ],
)
def test_a_process_of_an_agent_is_that_agent(pid: int, facts: tuple[int, int]) -> None:
    record = Record(MAIN)
    found = finder(record, **{**FAMILY, f"p{pid - KERNEL}": facts}).of_process(pid)
    assert found is record.principal


def test_others_are_nobodys() -> None:
    others = finder(Record(MAIN), **FAMILY, p60=(SHELL, SHELL), p70=(KERNEL, KERNEL + 70))
    assert others.of_process(KERNEL + 60) is None
    assert others.of_process(KERNEL + 70) is None  # a command of the operator's
    assert others.of_process(0) is None


def test_who_is_gone_is_refused() -> None:
    record = Record(MAIN)
    with pytest.raises(PermissionDenied):
        finder(record, **FAMILY).of_process(KERNEL + 99)
    with pytest.raises(PermissionDenied):
        finder(record, **FAMILY, p9=(KERNEL + 8, KERNEL + 9)).of_process(KERNEL + 9)


@pytest.mark.parametrize("record", [Record(0, "starting"), Record(MAIN)], ids=["starts", "ends"])
def test_a_child_of_the_kernel_is_not_the_operator_while_an_agents_helper_is_unknown(
    record: Record,
) -> None:
    unknown = finder(record, p1=(KERNEL, HELPER), p9=(HELPER, KERNEL + 9))
    with pytest.raises(Unavailable):
        unknown.of_process(KERNEL + 9)


def test_an_agent_between_two_restarts_has_no_process() -> None:
    waiting = finder(Record(0, "restarting"), p70=(KERNEL, KERNEL + 70))
    assert waiting.of_process(KERNEL + 70) is None


INIT, INSIDE = KERNEL + 3, KERNEL + 4
SANDBOX = {"p1": (KERNEL, HELPER), "p3": (HELPER, INIT), "p4": (INIT, INSIDE)}


@pytest.mark.parametrize(
    ("pid", "facts"),
    [
        (INSIDE, SANDBOX["p4"]),
        (KERNEL + 9, (INSIDE, KERNEL + 9)),
        (KERNEL + 9, (INIT, KERNEL + 9)),  # EXEC, or an orphan: process 1 took it in
    ],
)
def test_a_process_out_of_a_sandbox_is_its_agent_too(pid: int, facts: tuple[int, int]) -> None:
    record = Record(INSIDE, sandboxed=True)
    found = finder(record, **{**SANDBOX, f"p{pid - KERNEL}": facts}).of_process(pid)
    assert found is record.principal


def test_one_that_was_to_be_sandboxed_and_degraded_to_the_host_is_known() -> None:
    record = Record(MAIN, sandboxed=True)
    found = finder(record, **FAMILY, p9=(HELPER, KERNEL + 9)).of_process(KERNEL + 9)
    assert found is record.principal


def test_without_agents_nobody_is_looked_up() -> None:
    def look(pid: int) -> tuple[int, int] | None:
        raise AssertionError("looked up")

    assert AgentFinder(list, look).of_process(MAIN) is None
