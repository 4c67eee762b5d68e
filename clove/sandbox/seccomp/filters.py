"""The system call filters of a sandbox, as programs for seccomp(2). Pure.

`syscall_lists` says what is done with each call, `arguments` with those whose arguments count.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from typing import Final

from clove.sandbox.seccomp.abi import (
    ALLOW,
    ARCHITECTURE_OFFSET,
    ARCHITECTURES,
    INVALID,
    KILL,
    NO_MEMORY,
    NOTHING,
    NUMBER_OFFSET,
    REFUSE,
    UNKNOWN,
)
from clove.sandbox.seccomp.arguments import CHECKS, WITHOUT_NETLINK
from clove.sandbox.seccomp.bpf import (
    Item,
    Label,
    assemble,
    branch_if_at_least,
    branch_if_equal,
    go,
    load,
    result,
)
from clove.sandbox.seccomp.syscall_lists import ALLOWED, CHECKED, REFUSED
from clove.sandbox.seccomp.syscall_numbers import NUMBERS

__all__ = ["encoded", "program_filter", "sandbox_filter"]


def _verdicts(machine: str) -> list[tuple[int, str]]:
    """The whole range of numbers as (first number, what is done from there on)."""
    done = dict.fromkeys(ALLOWED, "allow")
    done |= dict.fromkeys(REFUSED, "refuse")
    done |= CHECKED
    by_number = {number: done[name] for name, number in NUMBERS[machine].items() if name in done}
    ranges: list[tuple[int, str]] = []
    for number in range(max(by_number) + 2):
        verdict = by_number.get(number, "unknown")
        if not ranges or ranges[-1][1] != verdict:
            ranges.append((number, verdict))
    return ranges


def _tree(ranges: list[tuple[int, str]]) -> list[Item]:
    """A binary search for the range that the number is in."""
    if len(ranges) == 1:
        return [go(ranges[0][1])]
    middle = len(ranges) // 2
    first = ranges[middle][0]
    upper = f"from {first}"
    return [
        branch_if_at_least(first, upper),
        *_tree(ranges[:middle]),
        Label(upper),
        *_tree(ranges[middle:]),
    ]


def _ours(machine: str) -> list[Item]:
    """Kill a process that calls by another architecture's numbers, then take the number."""
    return [
        load(ARCHITECTURE_OFFSET),
        branch_if_equal(ARCHITECTURES[machine], "ours"),
        result(KILL),
        Label("ours"),
        load(NUMBER_OFFSET),
    ]


_ENDS: Final[list[Item]] = [
    Label("allow"),
    result(ALLOW),
    Label("refuse"),
    result(REFUSE),
    Label("no memory"),
    result(NO_MEMORY),
    Label("invalid"),
    result(INVALID),
    Label("nothing"),
    result(NOTHING),
    Label("unknown"),
    result(UNKNOWN),
]


@functools.cache
def sandbox_filter(machine: str, *, netlink: bool = True) -> bytes | None:
    """The filter of everything in a sandbox, from its init on.

    @param machine: as uname(2) names it.
    @param netlink: its network namespace is its own, whose interfaces it may list.
    @return: for prctl(PR_SET_SECCOMP); None: no such filter for this machine.
    """
    if machine not in ARCHITECTURES:
        return None
    checks: list[Item] = []
    for name, items in {**CHECKS, **({} if netlink else WITHOUT_NETLINK)}.items():
        checks += [Label(name), *items]
    return assemble([*_ours(machine), *_tree(_verdicts(machine)), *checks, *_ENDS])


@functools.cache
def program_filter(machine: str, *, memfd: bool = True) -> bytes | None:
    """What is added for programs, the main one and commands: no openat2(2).

    Its mode lies in memory, where no filter can see set-id bits. Init needs it.

    @param memfd: allow memfd_create(2), whose files can be executed and mapped
        whatever mounts and Landlock say.
    """
    if machine not in ARCHITECTURES:
        return None
    numbers = NUMBERS[machine]
    items = [*_ours(machine), branch_if_equal(numbers["openat2"], "unknown")]
    if not memfd:
        items.append(branch_if_equal(numbers["memfd_create"], "refuse"))
    return assemble([*items, go("allow"), *_ENDS])


@functools.cache
def encoded(machine: str, *, memfd: bool = True, netlink: bool = True) -> Mapping[str, str]:
    """Both filters as the helper takes them; empty where there are none for a machine.

    @param memfd: see L{program_filter}.
    @param netlink: see L{sandbox_filter}.
    """
    programs = {
        "sandbox": sandbox_filter(machine, netlink=netlink),
        "programs": program_filter(machine, memfd=memfd),
    }
    return {name: base64.b64encode(each).decode() for name, each in programs.items() if each}
