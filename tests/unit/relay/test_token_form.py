"""A token says what it is for, and whether it was mistyped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import NotAuthenticated
from clove.relay.records import TokenKind
from clove.relay.tokens import form

ENTROPY = st.binary(min_size=form.ENTROPY, max_size=form.ENTROPY)
KINDS = st.sampled_from(TokenKind)


@given(KINDS, ENTROPY)
def test_a_token_is_one_word_of_known_length(kind: TokenKind, entropy: bytes) -> None:
    token = form.make(kind, entropy)
    assert re.fullmatch(rf"clove_{kind.value}_[0-9A-Za-z]{{43}}_[0-9A-Za-z]{{6}}", token)
    assert form.checked_kind(token) is kind


@given(ENTROPY, ENTROPY)
def test_other_entropy_makes_another_token(one: bytes, two: bytes) -> None:
    tokens = {form.make(TokenKind.ADMIN, each) for each in (one, two)}
    assert len(tokens) == len({one, two})


@given(KINDS, ENTROPY, st.data())
def test_one_wrong_character_is_told(kind: TokenKind, entropy: bytes, data: st.DataObject) -> None:
    token = form.make(kind, entropy)
    start = len(f"clove_{kind.value}_")
    place = data.draw(st.integers(start, len(token) - 1).filter(lambda at: token[at] != "_"))
    other = data.draw(st.sampled_from("aB7").filter(lambda each: each != token[place]))
    with pytest.raises(NotAuthenticated, match="mistyped"):
        form.checked_kind(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "clove_admin_", "x" * 100_000, "clove_root_a_b", "clove\u2603"]
)
def test_what_is_no_token_is_none(text: str) -> None:
    with pytest.raises(NotAuthenticated, match="no token"):
        form.checked_kind(text)


def test_a_token_with_a_line_end_is_none() -> None:
    token = form.make(TokenKind.ADMIN, bytes(form.ENTROPY))
    with pytest.raises(NotAuthenticated):
        form.checked_kind(token + "\n")


@given(KINDS, ENTROPY, st.text(), st.text(), st.integers(20, 60))
def test_the_secret_of_a_token_is_taken_out_of_texts(
    kind: TokenKind, entropy: bytes, before: str, after: str, length: int
) -> None:
    token = form.make(kind, entropy)
    secret = token.split("_")[2]
    assert secret not in form.redact(f"{before}{token}{after}")
    assert secret[:8] not in form.redact(f"{before} {token[:length]} {after}")
