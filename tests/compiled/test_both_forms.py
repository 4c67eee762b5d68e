"""Whatever a peer sends, the compiled form answers what the pure one does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clove.framing import HEADER, MAGIC, TAG, Opcode, encode
from tests.compiled.forms import COMPILED, PURE, Checked, Form
from tests.unit.kernel.paired_transport import Transport

HELLO = encode(0, Opcode.HELLO, json.dumps({"protocol_version": 2}).encode())

opcodes = st.one_of(st.just(0), st.just(0), st.integers(0, 6), st.integers(0xFB, 0xFF))
sizes = st.one_of(st.integers(0, 40), st.sampled_from([2991, 2992, 2999, 3000, 3001, 3008, 3009]))
tags = st.one_of(st.integers(1, 12), st.sampled_from([0, (1 << 62) - 1, 1 << 62, (1 << 64) - 1]))


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request, mostly one that is right."""
    size, opcode = draw(sizes), draw(opcodes)
    payload = TAG.pack(draw(tags)) * draw(st.integers(0, 3).map(bool)) + bytes(size)
    if opcode == Opcode.HELLO:
        return HELLO
    broken = draw(st.integers(0, 30))
    if broken == 0:
        return HEADER.pack(MAGIC + 1, 1, opcode, len(payload)) + payload
    if broken == 1:
        return HEADER.pack(MAGIC, 1, opcode, draw(st.sampled_from([1 << 63, (1 << 64) - 1, 3010])))
    return encode(draw(st.integers(0, 3)), opcode, payload)


def pieces(said: bytes, cuts: list[int]) -> Iterator[bytes]:
    """What is said, cut at places."""
    places = sorted({cut % (len(said) + 1) for cut in cuts} | {0, len(said)})
    for begin, end in itertools.pairwise(places):
        yield said[begin:end]


@pytest.mark.parametrize("compiled", [PURE, COMPILED])
@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("begins", [False, True])
def test_what_comes_behind_a_request_that_takes_all_the_turn_waits_for_the_next(
    compiled: Any, operator: bool, begins: bool
) -> None:
    form = Form(compiled, operator=operator)
    form.connection.flow.turn_length = -1.0
    try:
        if begins:
            form.say(HELLO)
            form.hears()
        tags = [TAG.pack(number) * begins for number in range(1, 6)]
        form.say(b"".join(map(encode, (0,) * 5, (0, 2, 0, 4, 6), tags)))
        assert [frame.opcode for frame in form.hears()] == [0, 2]
        assert form.connection.flow.buffered.queued
        form.turn()
        assert [frame.opcode for frame in form.hears()] == [0, 4, 6]  # nothing of others waits
    finally:
        form.end()


@given(
    kind=st.sampled_from([Transport, Checked]),
    begins=st.booleans(),
    said=st.lists(requests(), max_size=30).map(b"".join),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=6),
    answers=st.lists(st.integers(0, 5), max_size=8),
    operator=st.booleans(),
    late=st.booleans(),
)
@settings(max_examples=500)
def test_the_same_bytes_in_any_pieces_have_the_same_replies(
    kind: type[Transport],
    begins: bool,
    said: bytes,
    cuts: list[int],
    answers: list[int],
    operator: bool,
    late: bool,
) -> None:
    forms = [Form(compiled, kind, operator=operator) for compiled in (PURE, COMPILED)]
    if late:  # every request but NOOP ends its turn
        for form in forms:
            form.connection.flow.turn_length = -1.0

    def both(act: Callable[[Form], object]) -> None:
        first, second = [(act(form), form.hears(), form.state()) for form in forms]
        assert first == second

    try:
        for piece in pieces(HELLO * begins + said, cuts):
            both(lambda form, piece=piece: form.say(piece))  # type: ignore[misc]
        for number in answers:
            both(lambda form, number=number: form.answer(number))  # type: ignore[misc]
            both(Form.turn)
        for _ in range(30 * late):
            both(Form.turn)
        for form in forms:
            form.theirs.shutdown(1)
        both(Form.turn)
    finally:
        for form in forms:
            form.end()
