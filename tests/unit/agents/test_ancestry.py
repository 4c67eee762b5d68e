"""Whose process it is that comes to the main socket, on a process table of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.agents.ancestry import AgentFinder
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.credentials import LocalPeer
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level

MOST = ConnectionLimits().max_ancestors
KERNEL = 1000
HELPER, MAIN, INIT, INSIDE = 1001, 1002, 1003, 1004
ZYGOTE, COMMAND = 1010, 1020
SHELL = 500

HOST = {KERNEL: 400, 400: 1, SHELL: 1}
PLAIN = {HELPER: KERNEL, MAIN: HELPER}
BOXED = {HELPER: KERNEL, INIT: HELPER, INSIDE: INIT}
WARM = {ZYGOTE: KERNEL, INIT: ZYGOTE, INSIDE: INIT}


class Record:
    def __init__(self, *processes: int, agent_id: int = 7) -> None:
        self.processes = processes
        self.principal = Principal(agent_id, Kind.AGENT, for_level(Level.STANDARD), name="a")


class Table(dict[int, int]):
    """A process table; what was asked for is counted."""

    asked = 0

    def parent(self, pid: int) -> int | None:
        self.asked += 1
        return 0 if pid == 1 else self.get(pid)


def of(
    pid: int,
    table: dict[int, int],
    *records: Record,
    among_us: bool = True,
    parent_of: Callable[[int], int | None] | None = None,
    kernel: int = KERNEL,
    other_namespaces: bool = False,
) -> Principal | None:
    processes = Table({**HOST, **table})
    return AgentFinder(
        lambda: cast("Any", records),
        {COMMAND},
        parent_of=parent_of or processes.parent,
        is_among_us=lambda pid: among_us,
        other_namespaces=other_namespaces,
        kernel=kernel,
    ).of_process(LocalPeer(pid, 0, 0))


@pytest.mark.parametrize(
    ("pid", "parents"),
    [
        (MAIN, {}),
        (2000, {2000: MAIN}),
        (2000, {2000: HELPER}),  # EXEC, or an orphan
        (2002, {2000: MAIN, 2001: 2000, 2002: 2001}),
    ],
)
def test_a_process_of_an_agent_is_that_agent(pid: int, parents: dict[int, int]) -> None:
    record = Record(MAIN, HELPER)
    assert of(pid, {**PLAIN, **parents}, record) is record.principal


@pytest.mark.parametrize("tree", [BOXED, WARM], ids=["cold", "warm"])
@pytest.mark.parametrize("parent", [INSIDE, INIT])
def test_a_process_out_of_a_sandbox_is_its_agent_too(tree: dict[int, int], parent: int) -> None:
    record = Record(INSIDE, INIT)
    assert of(2000, {**tree, 2000: parent}, record, among_us=False) is record.principal


def test_an_orphan_of_a_warm_agent_is_not_another_one_of_the_zygote() -> None:
    first, second = Record(1100, 1101, agent_id=7), Record(INSIDE, INIT, agent_id=8)
    tree = {**WARM, 1101: ZYGOTE, 1100: 1101, 2000: INIT}
    assert of(2000, tree, first, second) is second.principal


def test_a_warm_agent_that_outlives_its_zygote_is_itself() -> None:
    record = Record(INSIDE, INIT)
    assert of(2000, {INIT: KERNEL, INSIDE: INIT, 2000: INSIDE}, record) is record.principal


def test_others_are_no_agents() -> None:
    record = Record(MAIN, HELPER)
    for pid, parents in {
        2000: {2000: SHELL},
        2001: {2001: 400},  # started by what has started the kernel
        KERNEL: {},  # the kernel itself
        400: {},  # and what it descends from
        2002: {2002: COMMAND, COMMAND: KERNEL},  # a command of the operator's
    }.items():
        assert of(pid, {**PLAIN, **parents}, record) is None


def test_a_kernel_that_is_pid1() -> None:
    record = Record(MAIN, HELPER)
    tree = {HELPER: 1, MAIN: HELPER, 2000: MAIN, 2001: 0, 2002: 1}
    assert of(2000, tree, record, kernel=1) is record.principal
    assert of(2001, tree, record, kernel=1) is None  # sent in from outside
    with pytest.raises(PermissionDenied):
        of(2002, tree, record, kernel=1)  # an orphan


@pytest.mark.parametrize("length", [62, 63, 64, 65, MOST - 4, MOST, MOST * 3])
def test_no_chain_is_long_enough_to_be_the_operators(length: int) -> None:
    record = Record(MAIN, HELPER)
    chain = {2000: MAIN, **{2000 + n: 1999 + n for n in range(1, length)}}
    table = Table({**HOST, **PLAIN, **chain})
    found: Principal | None = record.principal
    with contextlib.suppress(PermissionDenied):
        found = of(1999 + length, {}, record, parent_of=table.parent)
    assert found is record.principal
    assert table.asked <= 2 * (MOST + 1)


@pytest.mark.parametrize("records", [(), (Record(MAIN, HELPER),)], ids=["none", "others"])
def test_what_an_ended_agent_left_is_unknown(records: tuple[Record, ...]) -> None:
    with pytest.raises(PermissionDenied):
        of(2000, {**PLAIN, 2000: KERNEL}, *records)  # its helper was killed, or has ended


def test_while_an_agent_starts_what_is_below_the_kernel_may_be_its() -> None:
    with pytest.raises(Unavailable):
        of(2000, {HELPER: KERNEL, 2000: HELPER}, Record())
    assert of(2000, {2000: SHELL}, Record()) is None


def test_who_is_outside_or_gone_is_refused() -> None:
    for pid in (0, -1, 3000):
        with pytest.raises(PermissionDenied) as caught:
            of(pid, {}, Record(MAIN, HELPER))
        assert caught.value.rule == "peer-process"
    with pytest.raises(PermissionDenied):
        of(2000, {2000: 1999})  # its parent cannot be seen


def test_who_is_in_other_namespaces_is_not_the_operator() -> None:
    with pytest.raises(PermissionDenied) as caught:
        of(2000, {2000: SHELL}, among_us=False)
    assert "namespaces" in caught.value.message


def test_other_namespaces_can_be_let_in_and_agents_not() -> None:
    record = Record(INSIDE, INIT)
    assert of(0, {}, record, other_namespaces=True) is None
    assert of(2000, {2000: SHELL}, record, among_us=False, other_namespaces=True) is None
    outside = of(2000, {**BOXED, 2000: INIT}, record, among_us=False, other_namespaces=True)
    assert outside is record.principal
    with pytest.raises(PermissionDenied):
        of(2000, {2000: KERNEL}, record, among_us=False, other_namespaces=True)


def test_a_parent_that_ends_meanwhile_with_a_pid_that_is_used_again() -> None:
    """The orphan has another parent by then, so the walk is not taken for the truth."""
    record = Record(MAIN, HELPER)
    table = {**HOST, **PLAIN, 2001: MAIN, 2000: 2001}
    seen: list[int] = []

    def parent_of(pid: int) -> int | None:
        answer = table.get(pid)
        if pid == 2000 and not seen:
            table.update({2001: SHELL, 2000: HELPER})  # 2001 ends; a shell starts a new 2001
        seen.append(pid)
        return answer

    assert of(2000, {}, record, parent_of=parent_of) is record.principal


def test_a_table_that_never_stands_still_is_refused() -> None:
    parents = iter([SHELL, 1, 400] * 100)

    def parent_of(pid: int) -> int | None:
        return next(parents) if pid == 2000 else 1

    with pytest.raises(PermissionDenied):
        of(2000, {}, parent_of=parent_of)
