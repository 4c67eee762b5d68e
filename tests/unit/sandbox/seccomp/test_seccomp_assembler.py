"""Programs for seccomp(2), put together from instructions and labels."""

from __future__ import annotations

import struct

import pytest

from clove.sandbox.seccomp.bpf import (
    Instruction,
    Item,
    Label,
    assemble,
    branch_if_at_least,
    branch_if_bits,
    branch_if_equal,
    go,
    load,
    mask,
    result,
)


def unpacked(program: bytes) -> list[tuple[int, ...]]:
    return list(struct.iter_unpack("=HBBI", program))


def test_instructions_are_the_kernels() -> None:
    program = assemble(
        [
            load(16),
            mask(0xF),
            branch_if_equal(1, "end"),
            branch_if_at_least(2, no="end"),
            branch_if_bits(4, "end", "end"),
            go("end"),
            result(7),
            Label("end"),
            result(0x7FFF0000),
        ]
    )
    assert unpacked(program) == [
        (0x20, 0, 0, 16),
        (0x54, 0, 0, 15),
        (0x15, 4, 0, 1),
        (0x35, 0, 3, 2),
        (0x45, 2, 2, 4),
        (0x05, 0, 0, 1),
        (0x06, 0, 0, 7),
        (0x06, 0, 0, 0x7FFF0000),
    ]


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([], "1 to 4096"),
        ([result(0)] * 4097, "1 to 4096"),
        ([go("nowhere")], "no label 'nowhere'"),
        ([Label("a"), result(0), Label("a")], "two labels 'a'"),
        ([Label("back"), result(0), go("back")], "goes -2"),
        ([branch_if_equal(0, "far"), *[result(0)] * 256, Label("far"), result(0)], "goes 256"),
    ],
)
def test_a_program_that_the_kernel_would_refuse_is_refused(items: list[Item], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        assemble(items)


def test_an_unconditional_jump_goes_as_far_as_it_must() -> None:
    items: list[Item] = [go("far"), *[Instruction(6)] * 300, Label("far"), result(0)]
    assert unpacked(assemble(items))[0] == (0x05, 0, 0, 300)
