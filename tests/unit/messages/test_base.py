"""Bytes to typed requests, replies to bytes."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest, PermissionDenied
from clove.messages import Reply, decode, encode_error
from clove.messages.agents import SpawnReply, SpawnRequest, TargetRequest
from clove.messages.state import StoreRequest


def test_an_empty_payload_means_no_fields() -> None:
    assert decode(TargetRequest, b"") == TargetRequest()


def test_fields_that_we_do_not_know_are_ignored() -> None:
    assert decode(TargetRequest, b'{"name":"a","later":1}').name == "a"


def test_null_in_an_optional_field_means_its_absence() -> None:
    request = decode(
        SpawnRequest, b'{"name":"a","script":"b","sandboxed":null,"restart_policy":null}'
    )
    assert (request.sandboxed, request.restart_policy) == (True, "never")


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
        "success": False,
        "error": "Permission denied: no",
        "code": "permission_denied",
        "rule": "level: minimal",
        "hint": "ask",
    }
    assert json.loads(encode_error(error, Reply))["success"] is False
