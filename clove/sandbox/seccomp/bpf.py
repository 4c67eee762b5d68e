"""An assembler for the classic BPF programs that seccomp(2) runs. Pure.

A program is a list of the things made here. Jumps name labels; they only ever
go forwards, as the kernel demands. Source: linux/filter.h, linux/bpf_common.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = [
    "Instruction",
    "Item",
    "Label",
    "assemble",
    "branch_if_at_least",
    "branch_if_bits",
    "branch_if_equal",
    "go",
    "load",
    "mask",
    "result",
]

LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP: Final = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
JUMP_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
JUMP_BITS: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K

MAX_INSTRUCTIONS: Final = 4096
"""BPF_MAXINSNS: the kernel takes no longer program."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    @ivar k: its constant.
    @ivar yes, no: labels of a conditional jump; "" for the next instruction.
        `yes` is also where an unconditional jump goes.
    """

    code: int
    k: int = 0
    yes: str = ""
    no: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """Names the instruction after it."""

    name: str


Item = Instruction | Label


def load(offset: int) -> Instruction:
    """Take the 32-bit word at an offset of `struct seccomp_data`."""
    return Instruction(LOAD_WORD, offset)


def mask(bits: int) -> Instruction:
    """Keep some bits of the word."""
    return Instruction(AND, bits)


def go(to: str) -> Instruction:
    """Jump, however far."""
    return Instruction(JUMP, yes=to)


def branch_if_equal(value: int, yes: str = "", no: str = "") -> Instruction:
    """Jump by whether the word is a value."""
    return Instruction(JUMP_EQUAL, value, yes, no)


def branch_if_at_least(value: int, yes: str = "", no: str = "") -> Instruction:
    """Jump by whether the word, unsigned, is a value or more."""
    return Instruction(JUMP_AT_LEAST, value, yes, no)


def branch_if_bits(bits: int, yes: str = "", no: str = "") -> Instruction:
    """Jump by whether the word has any of some bits."""
    return Instruction(JUMP_BITS, bits, yes, no)


def result(action: int) -> Instruction:
    """End with one of the SECCOMP_RET_* actions."""
    return Instruction(RETURN, action)


def assemble(items: Iterable[Item]) -> bytes:
    """The program as an array of `struct sock_filter`, in this machine's byte order.

    @raise ValueError: too long, a jump too far (255 instructions for a
        conditional one), backwards, or to no label.
    """
    offsets: dict[str, int] = {}
    instructions: list[Instruction] = []
    for item in items:
        if isinstance(item, Instruction):
            instructions.append(item)
        elif item.name in offsets:
            raise ValueError(f"two labels {item.name!r}")
        else:
            offsets[item.name] = len(instructions)
    if not 0 < len(instructions) <= MAX_INSTRUCTIONS:
        raise ValueError(f"a program has 1 to {MAX_INSTRUCTIONS} instructions")

    def distance(label: str, here: int, most: int) -> int:
        if not label:
            return 0
        if label not in offsets:
            raise ValueError(f"no label {label!r}")
        far = offsets[label] - here - 1
        if not 0 <= far <= most:
            raise ValueError(f"the jump to {label!r} goes {far} instructions")
        return far

    packed = bytearray()
    for here, each in enumerate(instructions):
        k, yes, no = each.k, 0, 0
        if each.code == JUMP:
            k = distance(each.yes, here, MAX_INSTRUCTIONS)
        else:
            yes, no = distance(each.yes, here, 255), distance(each.no, here, 255)
        packed += struct.pack("=HBBI", each.code, yes, no, k)
    return bytes(packed)
