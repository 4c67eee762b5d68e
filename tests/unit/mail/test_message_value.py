"""What one client may hand to others: whatever is taken, every decoder can read."""

from __future__ import annotations

import json
import random
import sys
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clove.errors import CloveError, InvalidRequest, LimitExceeded
from clove.messages import Request, decode, encode
from clove.messages.value import MAX_CONTAINERS, MAX_DEPTH, checked


class Carrier(Request, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A request with any JSON in it."""

    value: msgspec.Raw


def take(value: bytes) -> bytes:
    return bytes(checked(decode(Carrier, b'{"value": ' + value + b"}").value, "value"))


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # a lone surrogate has no UTF-8
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)
_pieces = st.sampled_from([bytes([byte]) for byte in b'{}[]:,"a1-.e0 \n\xff']) | st.sampled_from(
    [
        b"\\u00",
        b"\\ud83d",
        b"\\n",
        b"\\x",
        b"999",
        b"e999",
        b"1e309",
        b"true",
        b"null",
        b"NaN",
        b"\xc3\xa4",
    ]
)


@settings(deadline=None, derandomize=True, database=None)
@given(_json, st.booleans())
def test_all_json_is_taken_byte_for_byte(value: Any, ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii).encode(errors="replace")
    assert take(text) == text


@settings(deadline=None, derandomize=True, database=None, max_examples=2000)
@given(st.lists(_pieces, max_size=12).map(b"".join))
def test_whatever_is_taken_can_be_read_by_others(value: bytes) -> None:
    try:
        taken = take(value)
    except CloveError:
        return
    reply = encode({"messages": [{"message": msgspec.Raw(taken)}, {"message": 2}]})
    assert json.loads(reply.decode())["messages"][1] == {"message": 2}
    assert msgspec.json.decode(reply)["messages"][1] == {"message": 2}


@pytest.mark.parametrize("digits", [20, 400, 4300, 4301, 100_000])
def test_an_integer_of_any_length_is_read_by_all_or_refused(digits: int) -> None:
    number = b"7" * digits
    try:
        taken = take(number)
    except InvalidRequest:
        return
    assert json.loads(taken) == int(number)


@pytest.mark.parametrize("pair", [b"[]", b'{"k":}'])
def test_the_bound_of_depth_is_exact(pair: bytes) -> None:
    opening, closing = pair[:-1], pair[-1:]

    def nested(levels: int) -> bytes:
        return opening * (levels - 1) + b"[]" + closing * (levels - 1)

    assert take(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    for levels in (MAX_DEPTH + 1, 400):
        with pytest.raises(LimitExceeded):
            take(nested(levels))
    with pytest.raises(InvalidRequest):
        take(nested(100_000))


def test_brackets_in_texts_are_no_depth() -> None:
    value = json.dumps("[" * 1000).encode()
    assert take(value) == value


def test_the_value_does_not_keep_the_request_alive() -> None:
    raw = decode(Carrier, b'{"value": 1, "padding": "' + b"x" * 100_000 + b'"}').value
    whole: Any = memoryview(checked(raw, "value")).obj
    assert len(whole) < 100


def test_too_many_containers_are_refused_and_brackets_in_texts_are_none() -> None:
    many = b"[" + b",".join([b"[]"] * MAX_CONTAINERS) + b"]"
    with pytest.raises(LimitExceeded, match="arrays and objects"):
        checked(msgspec.Raw(many), "message")
    text = b'"' + b"[{" * MAX_CONTAINERS + b'"'
    assert bytes(checked(msgspec.Raw(text), "message")) == text


def test_as_many_objects_are_taken_as_arrays() -> None:
    few = b"[" + b",".join([b'{"a":1}'] * (MAX_CONTAINERS - 1)) + b"]"
    assert bytes(checked(msgspec.Raw(few), "message")) == few


def test_brackets_behind_escapes_are_told_apart() -> None:
    """A quote behind a pair of backslashes ends its string, one behind a single does not."""
    inside = b'["' + rb"\\\"[" * 200 + b'"]'
    assert take(inside) == inside
    outside = b"[" * 200 + b'"' + rb"\\" + b'"' + b"]" * 200
    with pytest.raises(LimitExceeded, match="levels"):
        take(outside)


@pytest.mark.parametrize(
    "number", ["1e-310", "5e-324", "2.2250738585072011e-308", "9007199254740993.0"]
)
def test_numbers_that_take_a_decoder_long_are_not_decoded(number: str) -> None:
    """1 MiB of the first takes it a second."""
    value = ("[" + ",".join([number] * 40_000) + "]").encode()
    with mock.patch("msgspec.json.Decoder", side_effect=AssertionError):
        assert take(value) == value


def test_values_as_they_are_usual_are_taken_whole() -> None:
    """Embeddings, probabilities, hashes, tokens, and a table."""
    numbers = random.Random(8)
    for value in (
        [numbers.gauss(0, 0.02) for _ in range(42_000)],
        [10 ** -numbers.uniform(0, 300) for _ in range(40_000)],
        [sys.float_info.max, -sys.float_info.max, sys.float_info.min, 5e-324],
        [numbers.getrandbits(64) for _ in range(45_000)],
        [f"{numbers.getrandbits(256):064x}" for _ in range(14_000)],
        ["the"] * 140_000,
        [{"id": n, "name": "a", "score": 0.25, "ok": True, "at": None} for n in range(15_000)],
    ):
        text = json.dumps(value).encode()
        assert len(text) <= 1 << 20
        assert take(text) == text


@pytest.mark.parametrize(
    "number",
    ["1e309", "-1E+309", "1.8e308", "0.1e310", "1e00309", "1" * 400 + ".0", "7" * 220 + "e99"],
)
def test_numbers_that_no_double_holds_are_refused_wherever_they_are(number: str) -> None:
    for value in (number, f'["1e5", {{"\\"": {number}}}]', f'["\\\\", {number}]'):
        with pytest.raises(InvalidRequest, match="bad value"):
            take(value.encode())


@pytest.mark.parametrize(
    "value",
    ["1e308", "1.7976931348623157e+308", "1e-999", '"1e999"', '"\\"[1e999"', "0." + "1" * 4000],
)
def test_numbers_that_are_none_or_that_a_double_holds_are_taken(value: str) -> None:
    assert take(value.encode()) == value.encode()
