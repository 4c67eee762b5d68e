"""Errors keep what the wire says about them, there and back."""

from __future__ import annotations

import traceback

import pytest

from clove import errors
from clove.errors import CloveError, PermissionDenied, error_from_reply

KINDS: list[type[CloveError]] = [
    getattr(errors, name) for name in errors.__all__ if name[0].isupper() and name != "CloveError"
]


def test_the_codes_are_distinct() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_wire(kind: type[CloveError]) -> None:
    sent = kind("what went wrong", rule="the rule", hint="what to do")
    fields = sent.fields()
    assert fields["success"] is False
    received = error_from_reply(fields)
    assert type(received) is kind
    assert (received.message, received.rule, received.hint) == (
        sent.message,
        "the rule",
        "what to do",
    )
    assert 400 <= kind.http_status < 600


def test_rule_and_hint_are_left_out_when_there_are_none() -> None:
    assert set(errors.NotFound("no such key").fields()) == {"success", "error", "code"}


def test_a_denial_always_begins_as_the_contract_says() -> None:
    assert PermissionDenied("not here").message == "Permission denied: not here"
    assert PermissionDenied("Permission denied by x").message == "Permission denied by x"


@pytest.mark.parametrize("reply", [{}, {"error": "odd"}, {"code": "from_the_future"}])
def test_an_unknown_code_is_still_an_error_of_ours(reply: dict[str, object]) -> None:
    assert type(error_from_reply(reply)) is CloveError


def test_a_traceback_says_which_rule_it_was_and_what_to_do() -> None:
    sent = PermissionDenied("not here", rule="allowed_paths", hint="ask for less")
    shown = "".join(traceback.format_exception(error_from_reply(sent.fields())))
    assert shown.endswith("Permission denied: not here\nrule: allowed_paths\nhint: ask for less\n")


def test_the_text_of_an_error_is_its_message_alone() -> None:
    assert str(errors.NotFound("no such key", hint="see KEYS")) == "no such key"
    assert "\n" not in "".join(traceback.format_exception(errors.NotFound("no such key"))).strip()
