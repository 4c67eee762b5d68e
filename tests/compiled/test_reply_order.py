"""In which order replies, and what comes unasked, go out on version 2, in both forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clove.framing import MORE, TAG, Opcode, encode
from clove.messages import Reply
from tests.compiled.forms import COMPILED, PURE, Form
from tests.compiled.test_both_forms import HELLO

Answer = Callable[[Any, int, bytes, Any, Any], Any]


def tagged(opcode: int, tag: int, body: bytes = b"") -> bytes:
    return encode(0, opcode, TAG.pack(tag) + body)


def heard(form: Form) -> list[tuple[int, int]]:
    """Opcode and tag of each frame."""
    return [(opcode, TAG.unpack_from(payload)[0]) for _, opcode, payload in form.hears()]


@pytest.fixture(params=[PURE, COMPILED], ids=["pure", "compiled"])
def form(request: pytest.FixtureRequest) -> Iterator[Form]:
    made = Form(request.param)
    made.say(HELLO)
    made.hears()
    yield made
    made.end()


def test_what_a_request_has_pushed_comes_after_the_replies_before_it(form: Form) -> None:
    def answer(principal: Any, opcode: int, payload: bytes, stream: Any, push: Any) -> Any:
        if opcode == Opcode.STORE:
            assert push(Reply())
        if opcode == Opcode.LOGS:
            stream()(Reply())
        return b"{}"

    form.answers.answer = answer  # type: ignore[method-assign]
    form.say(tagged(Opcode.SUBSCRIBE, 1) + tagged(Opcode.STORE, 2) + tagged(Opcode.LOGS, 3))
    assert heard(form) == [
        (Opcode.SUBSCRIBE, 1),
        (Opcode.EMIT, 0),
        (Opcode.STORE, 2),
        (Opcode.LOGS, 3 | MORE),
        (Opcode.LOGS, 3),
    ]


def test_an_error_of_the_connection_itself_comes_after_the_replies_before_it(form: Form) -> None:
    form.say(tagged(2, 1) + tagged(2, 0) + tagged(2, 2) + encode(0, 2, b"no tag") + tagged(2, 3))
    assert heard(form) == [(2, 1), (2, 0), (2, 2), (2, 0), (2, 3)]


def test_a_reply_that_was_waited_for_comes_after_those_before_what_has_brought_it(
    form: Form,
) -> None:
    usual = form.answers.answer

    def answer(principal: Any, opcode: int, *rest: Any) -> Any:
        if opcode == 4:
            form.answer(0)
        return usual(principal, opcode, *rest)

    form.answers.answer = answer  # type: ignore[method-assign]
    form.say(tagged(1, 1))
    form.say(tagged(2, 2) + tagged(4, 3) + tagged(2, 4))
    assert heard(form) == [(2, 2), (1, 1), (4, 3), (2, 4)]


def test_what_is_pushed_to_another_connection_leaves_the_replies_together(form: Form) -> None:
    other = Form(COMPILED)
    other.say(HELLO)
    other.hears()
    sent: list[bytes] = []
    sender, send = form.connection.sender, form.connection.sender.send

    def count(data: bytes) -> None:
        sent.append(data)
        send(data)

    sender.send = count  # type: ignore[method-assign]

    def answer(principal: Any, opcode: int, payload: bytes, stream: Any, push: Any) -> Any:
        assert other.connection.push(Reply())
        return b"{}"

    form.answers.answer = answer  # type: ignore[method-assign]
    try:
        form.say(tagged(2, 1) + tagged(4, 2))
        assert heard(other) == [(Opcode.EMIT, 0)] * 2
        assert heard(form) == [(2, 1), (4, 2)]
        assert len(sent) == 1
    finally:
        other.end()
