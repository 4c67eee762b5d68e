"""The filter under which a program can be executed and do nothing. Pure.

For `dry_run.py`: a process that has it may execute something and say that it could
not. What it becomes is killed (SIGSYS) by its first system call that has an effect:
a little anonymous memory is all that it gets before.
"""

from __future__ import annotations

import base64
from typing import Final

from clove.sandbox.inside.dry_run import REPORT
from clove.sandbox.seccomp.abi import (
    ALLOW,
    ARCHITECTURE_OFFSET,
    ARCHITECTURES,
    ARGUMENTS_OFFSET,
    KILL,
    NUMBER_OFFSET,
)
from clove.sandbox.seccomp.arguments import LAST_32_BITS
from clove.sandbox.seccomp.bpf import Item, Label, assemble, branch_if_equal, load, result
from clove.sandbox.seccomp.syscall_numbers import NUMBERS

__all__ = ["exec_filter"]

FREE: Final = ("execve", "brk", "munmap", "futex")
"""What the interpreter may need between the filter and the exec, harmless in any program."""


def exec_filter(machine: str) -> str:
    """The filter, in base64; empty where there is none for a machine.

    @param machine: as uname(2) names it.
    """
    if machine not in ARCHITECTURES:
        return ""
    numbers = NUMBERS[machine]
    items: list[Item] = [
        load(ARCHITECTURE_OFFSET),
        branch_if_equal(ARCHITECTURES[machine], no="kill"),
        load(NUMBER_OFFSET),
        *(branch_if_equal(numbers[name], "allow") for name in FREE),
        branch_if_equal(numbers["write"], "write"),
        branch_if_equal(numbers["mmap"], "mmap", "kill"),
        Label("write"),
        load(ARGUMENTS_OFFSET),
        branch_if_equal(REPORT, "allow", "kill"),
        Label("mmap"),  # anonymous: the descriptor is -1
        load(ARGUMENTS_OFFSET + 8 * 4),
        branch_if_equal(LAST_32_BITS, "allow", "kill"),
        Label("kill"),
        result(KILL),
        Label("allow"),
        result(ALLOW),
    ]
    return base64.b64encode(assemble(items)).decode()
