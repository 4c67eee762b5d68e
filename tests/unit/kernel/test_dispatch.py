"""The one way from a request to its reply: table, permission, call, audit, accounting, errors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from clove.errors import NotFound, PermissionDenied
from clove.framing import MAX_REPLY, Opcode
from clove.kernel.principal import Kind
from clove.kernel.remote import granted
from tests.conftest import LoggedFailures
from tests.unit.kernel.dispatch_bench import CALLED, NO_STORE, Answer, Bench, Question

# the table


def test_noop_is_answered_with_what_it_carried_and_is_in_no_record() -> None:
    bench = Bench()
    assert bench.answer(b"\xff\x00 no json", 0) == b"\xff\x00 no json"
    assert bench.entries == []
    assert bench.caller.syscalls == 1


@pytest.mark.parametrize(
    ("opcode", "code", "error"),
    [
        (0xEE, "invalid_request", "unknown opcode 0xee"),
        (int(Opcode.THINK), "not_implemented", "THINK is not implemented yet"),
    ],
)
def test_an_opcode_that_is_not_in_the_table_is_an_error(opcode: int, code: str, error: str) -> None:
    bench = Bench()
    found = bench.ask(opcode=opcode)
    assert (found["success"], found["code"], found["error"]) == (False, code, error)
    assert bench.call.seen == []
    assert bench.entries == []


def test_the_call_gets_a_typed_request_and_who_asks() -> None:
    bench = Bench()
    assert bench.ask(b'{"word":"a","number":3}') == {"success": True, "word": "here"}
    [(context, request)] = bench.call.seen
    assert request == Question(word="a", number=3)
    assert context.principal is bench.caller
    assert (context.stream, context.push) == (None, None)


def test_an_empty_payload_is_an_empty_object() -> None:
    bench = Bench()
    assert bench.ask(b"")["success"]
    assert bench.call.seen[0][1] == Question()


def test_bytes_that_the_call_has_encoded_are_the_reply() -> None:
    bench = Bench()
    bench.call.answer = b'{"success":true,"own":1}'
    assert bench.answer() == b'{"success":true,"own":1}'


@pytest.mark.parametrize("payload", [b"{}", b'{"stream":true}', b'{"follow":true}'])
def test_partial_replies_go_where_the_request_asks_for_them(payload: bytes) -> None:
    bench = Bench()
    stream: Any = lambda partial: None  # noqa: E731
    push: Any = lambda reply: True  # noqa: E731
    bench.ask(payload, stream=lambda: stream, push=push)
    context, request = bench.call.seen[0]
    assert context.stream is (stream if request.stream or request.follow else None)
    assert context.push is push


# permission


@pytest.mark.parametrize("needs", [("can_store",), ("can_store", "can_store")])
def test_without_its_permission_no_call_is_made(needs: tuple[str, ...]) -> None:
    bench = Bench(needs=needs)
    bench.caller.permissions = NO_STORE
    found = bench.ask(b'{"word":"a"}')
    assert (found["success"], found["code"], found["rule"]) == (
        False,
        "permission_denied",
        "can_store",
    )
    assert found["word"] == ""  # the fields of a reply are there with their empty values
    assert bench.call.seen == []
    [(category, name, success, details)] = bench.entries
    assert (category, name, success) == ("SECURITY", "PERMISSION_DENIED", False)
    assert (details["syscall"], details["rule"]) == ("FETCH", "can_store")
    assert bench.events == [
        ("SYSCALL_BLOCKED", {"syscall": "FETCH", "agent_id": 7, "rule": "can_store"})
    ]


def test_one_of_several_permissions_is_enough() -> None:
    bench = Bench(needs=("can_store", "can_emit"))
    bench.caller.permissions = NO_STORE
    assert bench.ask()["success"]
    assert len(bench.call.seen) == 1


def test_a_request_that_cannot_be_read_is_refused_before_its_permission_is_looked_at() -> None:
    bench = Bench(needs=("can_store",))
    bench.caller.permissions = NO_STORE
    assert bench.ask(b"[")["code"] == "invalid_request"
    assert bench.entries[0][:3] == ("STATE_STORE", "FETCH", False)


def test_a_call_that_refuses_by_its_arguments_is_a_denial_as_well() -> None:
    bench = Bench()
    bench.call.answer = PermissionDenied("not this", rule="blocked_paths")
    assert bench.ask()["rule"] == "blocked_paths"
    assert [entry[:3] for entry in bench.entries] == [("SECURITY", "PERMISSION_DENIED", False)]
    assert len(bench.events) == 1


def test_a_denial_is_told_to_those_above_the_one_refused_and_to_operators() -> None:
    bench = Bench(needs=("can_store",))
    for agent_id, ancestors in ((2, ()), (3, (2,)), (4, (2,))):
        bench.principal(agent_id, ancestors=ancestors, family=2)
    operator = bench.principal(9, Kind.OPERATOR)
    bench.caller = bench.principal(5, ancestors=(3, 2), family=2, permissions=NO_STORE)
    bench.ask()
    assert bench.watchers == {2, 3, 5, operator.agent_id}


# audit and accounting


@pytest.mark.parametrize("later", [False, True])
def test_a_success_is_one_entry_with_the_fields_that_the_table_names(later: bool) -> None:
    bench = Bench(audited=("word", "number"))
    waiting: Deferred[Any] = Deferred()
    if later:
        bench.call.answer = waiting
    reply = bench.answer(b'{"word":"%b","number":3}' % (b"x" * 300))
    assert (bench.entries == []) is later  # not before it is done
    waiting.callback(Answer())
    assert bench.entries == [("STATE_STORE", "FETCH", True, {"word": "x" * 199 + "…", "number": 3})]
    assert isinstance(reply, bytes) is not later


@pytest.mark.parametrize("later", [False, True])
def test_a_failure_is_one_entry_with_its_error_and_code(later: bool) -> None:
    bench = Bench(audited=("word",))
    waiting: Deferred[Any] = Deferred()
    bench.call.answer = waiting if later else NotFound("no such key")
    reply = bench.answer(b'{"word":"a"}')
    if later:
        waiting.errback(NotFound("no such key"))
        reply = reply.result
    found = msgspec.json.decode(reply)
    assert (found["success"], found["code"], found["word"]) == (False, "not_found", "")
    details = {"error": "no such key", "code": "not_found"}
    assert bench.entries == [("STATE_STORE", "FETCH", False, details)]
    assert bench.events == []


def test_each_request_counts_whatever_becomes_of_it() -> None:
    bench = Bench(needs=("can_store",))
    for payload, opcode in ((b"", 0), (b"{}", CALLED), (b"[", CALLED), (b"{}", 0xEE)):
        bench.answer(payload, opcode)
    bench.caller.permissions = NO_STORE
    bench.answer()
    assert bench.caller.syscalls == 5


# errors


@pytest.mark.parametrize("later", [False, True])
def test_a_bug_is_an_internal_error_and_a_log_entry(
    later: bool, logged_failures: LoggedFailures
) -> None:
    bench = Bench()
    waiting: Deferred[Any] = Deferred()
    bench.call.answer = waiting if later else ValueError("a secret")
    reply = bench.answer()
    if later:
        waiting.errback(ValueError("a secret"))
        reply = reply.result
    found = msgspec.json.decode(reply)
    assert (found["success"], found["code"], found["word"]) == (False, "internal_error", "")
    assert b"secret" not in reply
    assert [str(each) for each in logged_failures.flush(ValueError)] == ["a secret"]
    assert bench.entries == []


def test_a_reply_over_the_limit_is_an_error_instead() -> None:
    bench = Bench()
    bench.call.answer = b"x" * (MAX_REPLY + 1)
    assert bench.ask()["code"] == "limit_exceeded"
    assert [entry[2] for entry in bench.entries] == [False]


def test_what_is_done_already_needs_no_deferred() -> None:
    bench = Bench()
    done: Deferred[Any] = Deferred()
    done.callback(Answer(word="at once"))
    bench.call.answer = done
    assert bench.ask()["word"] == "at once"


def test_cancelling_abandons_the_request() -> None:
    bench = Bench()
    stopped: list[Deferred[Any]] = []
    waiting: Deferred[Any] = Deferred(stopped.append)
    bench.call.answer = waiting
    reply = bench.answer()
    got: list[bytes] = []
    reply.addCallback(got.append)
    reply.cancel()
    assert stopped == [waiting]
    assert msgspec.json.decode(got[0])["code"] == "cancelled"
    assert [entry[3]["code"] for entry in bench.entries] == ["cancelled"]


# callers of other kernels


def test_a_remote_caller_is_refused_whatever_its_permissions_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(granted, "REMOTE_CALLS", frozenset())
    bench = Bench()
    bench.caller = bench.principal(2**31 + 5, Kind.REMOTE)
    assert bench.ask()["rule"] == "remote"
    assert bench.call.seen == []
