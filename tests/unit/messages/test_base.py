"""Bytes to typed requests, replies to bytes."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from typing import TypeVar
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest, PermissionDenied
from clove.messages import MALFORMED, Reply, Request, decode, decoder, encode_error, read
from clove.messages.agents import (
    LimitsRequest,
    SecretValue,
    SpawnReply,
    SpawnRequest,
    TargetRequest,
    without_defaults,
)
from clove.messages.execute import ExecRequest
from clove.messages.http import HttpRequest
from clove.messages.json_text import MAX_PARTS, slow_numbers
from clove.messages.mending import PARTS, Misfit
from clove.messages.permissions import SetPermsRequest, WhyRequest
from clove.messages.session import HelloRequest
from clove.messages.state import StoreRequest
from clove.messages.think import ThinkRequest

R = TypeVar("R", bound=Request)


def again(kind: type[R], payload: bytes) -> tuple[R, list[Misfit]]:
    """What version 1 makes of a request."""
    try:
        return decoder(kind)(payload), []
    except MALFORMED as error:
        return read(kind, payload, error, lenient=True)


def test_an_empty_payload_means_no_fields() -> None:
    assert decode(TargetRequest, b"") == TargetRequest()


def test_a_field_that_we_do_not_know_is_refused_with_the_near_name() -> None:
    with pytest.raises(InvalidRequest, match="no field `nam`") as caught:
        decode(TargetRequest, b'{"nam":"a"}')
    assert caught.value.hint == "did you mean name?"


def test_where_fields_that_we_do_not_know_are_ignored_they_are_told() -> None:
    request, misfits = again(TargetRequest, b'{"name":"a","agentid":1,"later":null}')
    assert request.name == "a"
    assert [str(misfit) for misfit in misfits] == [
        "there is no field `agentid`: did you mean agent_id or id?"
    ]


def test_what_is_carried_stays_the_very_bytes() -> None:
    value = b'{"a":1.0,  "b":1e400, "c":"\\u0041"}'
    request, _ = again(StoreRequest, b'{"key":"k","unknown":1,"value":' + value + b"}")
    assert bytes(request.value) == value


def test_a_greeting_may_have_any_fields() -> None:
    """Who greets does not know yet who answers."""
    assert decode(HelloRequest, b'{"protocol_version":2,"later":1}').protocol_version == 2


def test_a_request_that_would_take_long_to_look_at_twice_is_refused_as_it_is() -> None:
    many = b"{" + b",".join(b'"f%d":1' % n for n in range(PARTS + 1)) + b"}"
    with pytest.raises(InvalidRequest, match="unknown field"):
        again(TargetRequest, many)
    names = b"a,[{" * 100_000
    with pytest.raises(InvalidRequest, match="no field"):
        decode(TargetRequest, b'{"name":"' + names + b'","later":1}')


@pytest.mark.parametrize("lenient", [True, False])
def test_a_long_value_that_is_none_of_those_there_are_is_looked_at_once(lenient: bool) -> None:
    text = "\\n" * 450_000
    payload = f'{{"name":"x","script":"/x","restart_policy":"{text}"}}'.encode()
    read_again = partial(read, SpawnRequest, payload, lenient=lenient)
    with pytest.raises(MALFORMED) as found:
        decoder(SpawnRequest)(payload)
    with pytest.raises(InvalidRequest, match="Invalid enum value") as refused:
        read_again(found.value)
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("kind", [SetPermsRequest, SpawnRequest, ThinkRequest, WhyRequest])
@pytest.mark.parametrize("value", ["1e-310", "[]", "0.4503599627370497503"])
def test_what_may_be_anything_is_bounded_before_it_is_decoded(
    kind: type[Request], value: str
) -> None:
    """1 MiB of the first takes a decoder a second."""
    many = '{"permissions":{"a":[' + ",".join([value] * (MAX_PARTS + 1)) + "]}}"
    with pytest.raises(InvalidRequest, match="more than"):
        decoder(kind)(many.encode())


@pytest.mark.parametrize(("kind", "field"), [(ExecRequest, "env"), (HttpRequest, "headers")])
def test_names_without_number_are_bounded_before_they_are_decoded(
    kind: type[Request], field: str
) -> None:
    many = json.dumps({field: {f"{n}": "" for n in range(MAX_PARTS + 1)}})
    with pytest.raises(InvalidRequest, match="more than"):
        decoder(kind)(many.encode())


def test_slow_numbers_are_not_looked_at_twice() -> None:
    numbers = b",".join([b"1e-310"] * 1500)
    mend = mock.patch("clove.messages.mending.mend", side_effect=AssertionError)
    with mend, pytest.raises(InvalidRequest):
        again(TargetRequest, b'{"later":[' + numbers + b"]}")


@pytest.mark.parametrize(
    ("number", "slow"),
    [
        ("0.00012345678901234567", False),
        ("-0.012345678901234567", False),
        ("1.2345678901234567e-05", False),
        ("18446744073709551615", False),
        ("1e-310", True),
        ("2.2250738585072011E-308", True),
        ("8.98846567431157953e+307", True),
        ("1.2345678901234567890", True),
        ("12345678901234567890e-99", True),
    ],
)
def test_numbers_that_take_long_are_known_by_their_looks(number: str, slow: bool) -> None:
    assert slow_numbers(f"[{number}, {number}]".encode()) == 2 * slow


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.integers())))
def test_any_object_gives_a_request_or_a_refusal_on_either_version(fields: object) -> None:
    payload = json.dumps(fields).encode()
    with contextlib.suppress(InvalidRequest):
        assert isinstance(again(SpawnRequest, payload)[0], SpawnRequest)
    with contextlib.suppress(InvalidRequest):
        assert isinstance(decode(SpawnRequest, payload), SpawnRequest)


def test_the_defaults_of_version_1_are_not_requests() -> None:
    limits = b'{"memory":268435456,"max_pids":8,"cpu_quota":null}'
    text = b'{"name":"a","script":"b","sandboxed":false,"network":false,"limits":' + limits + b"}"
    request = without_defaults(decode(SpawnRequest, text))
    assert (request.network, request.limits) == (None, LimitsRequest(max_pids=8))
    inside = decode(SpawnRequest, b'{"name":"a","script":"b","network":false}')
    assert without_defaults(inside) is inside


def test_zeros_of_version_1_are_not_requests_within_limits_either() -> None:
    limits = b'{"memory":0,"max_pids":8,"cpu_quota":0,"cpu_shares":0.0}'
    text = b'{"name":"a","script":"b","max_restarts":0,"restart_policy":"","limits":' + limits
    request, misfits = again(SpawnRequest, text + b"}")
    assert request.limits == LimitsRequest(max_pids=8)
    assert request.max_restarts == 0, "a field that can have an empty value keeps it"
    assert misfits == []
    with pytest.raises(InvalidRequest):
        again(SpawnRequest, b'{"name":"a","script":"b","limits":{"memory":1}}')
    with pytest.raises(InvalidRequest):
        decode(SpawnRequest, text + b"}")


def test_null_in_a_budget_means_its_absence() -> None:
    request = decode(
        SpawnRequest, b'{"name":"a","script":"b","llm_budget":{"max_tokens":5,"max_calls":null}}'
    )
    assert request.llm_budget == {"max_tokens": 5, "max_calls": None}


def test_null_in_an_optional_field_means_its_absence() -> None:
    request = decode(
        SpawnRequest, b'{"name":"a","script":"b","sandboxed":null,"restart_policy":null}'
    )
    assert (request.sandboxed, request.restart_policy) == (True, "never")


def test_null_in_what_a_request_has_by_name_means_its_absence() -> None:
    secrets = b'{"token":{"value":"x","file":null,"later":null}}'
    request = decode(SpawnRequest, b'{"name":"a","script":"b","secrets":%b}' % secrets)
    assert request.secrets == {"token": SecretValue(value="x")}


def test_an_unknown_field_of_what_a_request_has_by_name_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        decode(SpawnRequest, b'{"name":"a","script":"b","secrets":{"token":{"valu":"x"}}}')
    assert "secrets[token].valu" in refused.value.message
    assert "value" in refused.value.hint


def test_null_in_a_field_that_is_needed_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="name"):
        decode(SpawnRequest, b'{"name":null,"script":"b"}')


def test_a_value_that_may_be_null_stays_null() -> None:
    assert bytes(decode(StoreRequest, b'{"key":"k","value":null,"scope":null}').value) == b"null"


@pytest.mark.parametrize(
    "payload", [b"{", b"\xff", b"null", b"[]", b"1", b'"x"', b"[" * 100_000, b'{"name":1}']
)
def test_what_is_not_a_request_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(TargetRequest, payload)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_a_refusal(payload: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert isinstance(decode(SpawnRequest, payload), SpawnRequest)


def test_an_error_reply_has_the_usual_fields_with_empty_values() -> None:
    error = PermissionDenied("no", rule="level: minimal", hint="ask")
    assert json.loads(encode_error(error, SpawnReply)) == {
        "id": 0,
        "agent_id": 0,
        "name": "",
        "pid": 0,
        "status": "",
        "restart_policy": "",
        "warm": False,
        "isolation": {},
        "published": [],
        "success": False,
        "error": "Permission denied: no",
        "code": "permission_denied",
        "rule": "level: minimal",
        "hint": "ask",
    }
    assert json.loads(encode_error(error, Reply))["success"] is False
