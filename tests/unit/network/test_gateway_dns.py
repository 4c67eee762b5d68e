"""DNS messages and the addresses that stand for names."""

from __future__ import annotations

import struct

import pytest

from clove.kernel.network.gateway.dns import NAME_ERROR, A, BadQuery, answer, read_question
from clove.kernel.network.gateway.synthetic_addresses import RANGE, SyntheticAddresses


def query(*labels: bytes, kind: int = A, flags: int = 0x0100, count: int = 1) -> bytes:
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", 7, flags, count, 0, 0, 0) + name + struct.pack("!2H", kind, 1)


def test_a_question_is_read_and_answered_with_an_address() -> None:
    question = read_question(query(b"API", b"example", b"com"))
    assert (question.number, question.name, question.kind) == (7, "API.example.com", A)
    reply = answer(question, 0, "198.18.0.1", 5)
    assert reply[:12] == struct.pack("!6H", 7, 0x8580, 1, 1, 0, 0)
    assert reply[12 : 12 + len(question.raw)] == question.raw
    assert reply.endswith(bytes([0, 4, 198, 18, 0, 1]))


def test_a_refusal_has_no_records() -> None:
    reply = answer(read_question(query(b"a")), NAME_ERROR)
    assert struct.unpack("!6H", reply[:12]) == (7, 0x8583, 1, 0, 0, 0)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        query(b"a")[:-1],
        query(b"a", flags=0x8000),
        query(b"a", flags=0x2800),
        query(b"a", count=2),
        query(b"a", count=0),
        query(b"a.b"),
        query(*[b"x" * 63] * 5),
        struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c" + struct.pack("!2H", A, 1),
        query(b"a")[:-1] + b"\x03",
    ],
)
def test_anything_but_one_plain_question_is_refused(message: bytes) -> None:
    with pytest.raises(BadQuery):
        read_question(message)


def test_a_name_keeps_its_address_and_the_one_unused_for_longest_loses_its() -> None:
    names = SyntheticAddresses(2)
    first, second = names.allocate("a.test"), names.allocate("b.test")
    assert first.address == "198.18.0.1"
    assert names.allocate("a.test") is first
    third = names.allocate("c.test")
    assert names.host_at(second.address) is None
    assert names.host_at(first.address) is first
    assert third.address not in (first.address, second.address)


def test_addresses_come_round_but_never_stand_for_two_names() -> None:
    names = SyntheticAddresses(3)
    kept = names.allocate("kept.test")
    for number in range(RANGE.num_addresses):
        names.allocate(f"{number % 5}.test")
        assert names.allocate("kept.test") is kept
    assert names.host_at(kept.address) is kept
