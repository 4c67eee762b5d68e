"""Every opcode with good, minimal, empty, malformed, mistyped and oversized requests."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.conftest import Kernel
from tests.conformance.contract import (
    CODES,
    LATER,
    SYSCALLS,
    UNKNOWN,
    VALUES,
    Syscall,
    is_one_of,
    types_of,
)
from tests.conformance.peer import Closed, Peer, Reply

BY_NAME = {syscall.name: syscall for syscall in SYSCALLS}
MAX_PAYLOAD = 1 << 20

MALFORMED = {
    "not JSON": b"{",
    "two values": b"{} {}",
    "cut string": b'{"name": "x',
    "a lone continuation byte": b"\x80",
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "deep arrays": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "a trailing comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "garbage": bytes(range(256)),
}


@pytest.fixture(scope="module", params=[1, 2], ids=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> int:
    """Both versions of the protocol are held to the same table."""
    number: int = request.param
    return number


@pytest.fixture
def peer(kernel: Kernel, version: int) -> Iterator[Peer]:
    """A fresh connection that speaks this version."""
    with kernel.peer() as peer:
        if version == 2:
            peer.hello2()
        yield peer


@pytest.fixture(scope="module", autouse=True)
def others(kernel: Kernel) -> Iterator[None]:
    """An agent `helper` that only waits, and one `ended` that has ended."""
    (kernel.place / "agent.py").write_text("import time\ntime.sleep(1000)\n")
    (kernel.place / "short.py").write_text("raise SystemExit(3)\n")
    with kernel.peer() as operator:
        _spawn(operator, "helper", "agent.py")
        _spawn(operator, "ended", "short.py")
        yield
        for agent in operator.call(0x12).json():
            operator.call(0x11, {"id": agent["id"]})


def _spawn(peer: Peer, name: str, script: str) -> None:
    request = {"name": name, "script": script, "sandboxed": False, "allow_degraded": True}
    reply = peer.call(0x10, request).json()
    assert reply["success"] is True, reply


def check(syscall: Syscall, reply: Reply) -> dict[str, Any]:
    """Assert that a reply is what the contract says; the JSON object, {} for an array."""
    assert reply.opcode == syscall.opcode
    assert reply.agent_id > 0
    body = reply.json()
    if syscall.reply is None and isinstance(body, list):
        return {}
    assert isinstance(body, dict), body
    if body.get("success") is not True and "code" in body:
        assert body["success"] is False, body
        assert isinstance(body["error"], str), body
        assert body["error"], body
        assert body["code"] in CODES, body
        if body["code"] == "permission_denied":
            assert body["error"].startswith("Permission denied"), body
            assert body["rule"], body
            assert "hint" in body, body
    for field, kinds in (syscall.reply or {}).items():
        assert field in body, f"{field} is missing in {body}"
        assert is_one_of(body[field], kinds), f"{field} of {body} is not {kinds}"
    return body


def refused(syscall: Syscall, reply: Reply) -> None:
    """Assert that this is an `invalid_request`."""
    body = check(syscall, reply)
    assert body.get("code") == "invalid_request", body


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_a_minimal_request_is_served(peer: Peer, syscall: Syscall) -> None:
    body = check(syscall, peer.call(syscall.opcode, syscall.minimal))
    if syscall.name == "HTTP":
        assert body["success"] is False  # nobody listens there
    else:
        assert body.get("success", True) is True, body
    if syscall.name == "SPAWN":
        killed = check(BY_NAME["KILL"], peer.call(0x11, {"name": "spawned"}))
        assert killed["killed"] is True
    if syscall.name == "KILL":
        _spawn(peer, "helper", "agent.py")


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_fields_that_the_kernel_does_not_know_are_ignored(peer: Peer, syscall: Syscall) -> None:
    """The contract may grow; an older kernel must not refuse a newer client."""
    request = {**syscall.minimal, "from_the_future": [{"any": "thing"}], "name2": None}
    if syscall.name == "SPAWN":
        request["script"] = "no-such-script.py"
        assert check(syscall, peer.call(syscall.opcode, request))["code"] == "not_found"
    else:
        body = check(syscall, peer.call(syscall.opcode, request))
        assert body.get("code") != "invalid_request", body
    if syscall.name == "KILL":
        _spawn(peer, "helper", "agent.py")


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
@pytest.mark.parametrize("empty", [b"", b"{}", b" {} \n"], ids=["empty", "braces", "spaces"])
def test_an_empty_request_means_no_fields(peer: Peer, syscall: Syscall, empty: bytes) -> None:
    body = check(syscall, peer.call(syscall.opcode, empty))
    if syscall.required or syscall.minimal.get("name") in {"helper", "ended"}:
        assert body["code"] == "invalid_request", body


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_malformed_requests_are_refused_and_the_connection_lives(
    peer: Peer, syscall: Syscall
) -> None:
    for payload in MALFORMED.values():
        refused(syscall, peer.call(syscall.opcode, payload))
    assert peer.call(0, b"alive").payload == b"alive"


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_a_request_that_is_no_object_is_refused(peer: Peer, syscall: Syscall) -> None:
    for kind, value in VALUES.items():
        if kind != "object":
            refused(syscall, peer.call(syscall.opcode, value))


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_a_field_of_a_wrong_type_is_refused(peer: Peer, syscall: Syscall) -> None:
    for field, kinds in syscall.fields.items():
        for value in VALUES.values():
            if is_one_of(value, kinds) or (value is None and field not in syscall.required):
                continue
            body = check(syscall, peer.call(syscall.opcode, {**syscall.minimal, field: value}))
            assert body.get("code") == "invalid_request", (field, value, body)


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_a_missing_field_that_must_be_there_is_refused(peer: Peer, syscall: Syscall) -> None:
    for field in syscall.required:
        request = {name: value for name, value in syscall.minimal.items() if name != field}
        refused(syscall, peer.call(syscall.opcode, request))


HUGE = ["1e999", "-1e999", "NaN", "Infinity", str(10**400), str(2**64), str(-(2**63)), "-1", "-0.5"]


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_odd_numbers_never_break_anything(peer: Peer, syscall: Syscall) -> None:
    """Numbers that are not finite, do not fit, or are negative."""
    waits = {"wait", "timeout"}  # a huge one may well be allowed, and waited for
    for field, kinds in syscall.fields.items():
        if field in waits | {"protocol_version"} or not set(kinds.split("|")) & {
            "integer",
            "number",
        }:
            continue
        for number in HUGE:
            request = {**syscall.minimal, field: "@"}
            text = json.dumps(request).replace('"@"', number)
            check(syscall, peer.call(syscall.opcode, text.encode()))
    if syscall.name in {"KILL", "SPAWN"}:
        for name in ("spawned", "helper"):
            peer.call(0x11, {"name": name})
        _spawn(peer, "helper", "agent.py")


NAMES = {
    "slash": "a/b",
    "parent": "..",
    # WRITE takes these too, and the kernel may be root's: they must lead nowhere.
    "nested parent": "../../nowhere/there",
    "absolute": "/nowhere/there",
    "NUL": "a\0b",
    "newline": "a\nb",
    "escape": "\x1b]0;owned\x07",
    "10 kB": "n" * 10_000,
    "lone surrogate": "\ud800",
    "right to left": "\u202egnp.exe",
    "empty": "",
}


@pytest.mark.parametrize("odd", NAMES.values(), ids=list(NAMES))
def test_names_that_mean_trouble_are_refused(peer: Peer, odd: str) -> None:
    spawn = {"name": odd, "script": "agent.py", "sandboxed": False, "allow_degraded": True}
    refused(BY_NAME["SPAWN"], peer.call(0x10, spawn))
    refused(BY_NAME["REGISTER"], peer.call(0x23, {"name": odd}))


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_odd_text_in_any_field_never_breaks_anything(peer: Peer, syscall: Syscall) -> None:
    for field, kinds in syscall.fields.items():
        if "string" in kinds and (syscall.name, field) != ("SPAWN", "python"):
            for odd in NAMES.values():
                check(syscall, peer.call(syscall.opcode, {**syscall.minimal, field: odd}))
    if syscall.name in {"KILL", "SPAWN"}:
        for name in ("spawned", "helper"):
            peer.call(0x11, {"name": name})
        _spawn(peer, "helper", "agent.py")


BAD_TEXT = {"not UTF-8": b'"\xff\xfe"', "overlong": b'"\xc0\xaf"', "a NUL byte": b'"a\x00b"'}


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_text_that_is_not_utf_8_is_refused_in_every_field(peer: Peer, syscall: Syscall) -> None:
    """What a field that nobody looks at holds does not matter; in the others it does."""
    for field, kinds in syscall.fields.items():
        if "string" in kinds or kinds == "any":
            for text in BAD_TEXT.values():
                request = json.dumps({**syscall.minimal, field: "@@"}).encode()
                refused(syscall, peer.call(syscall.opcode, request.replace(b'"@@"', text)))


SNEAKY = {
    "not UTF-8": b'"\xff\xfe"',
    "overlong": b'"\xc0\xaf"',
    "surrogate bytes": b'"\xed\xa0\x80"',
    "control character": b'"\x01"',
    "bad escape": b'"\\q"',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "NaN": b"NaN",
    "number": b"01",
}


@pytest.mark.parametrize("value", SNEAKY.values(), ids=list(SNEAKY))
def test_what_one_agent_gets_from_another_is_always_json(peer: Peer, value: bytes) -> None:
    """A value that is carried and not looked at must be checked all the same."""
    name = f"receiver-{os.urandom(4).hex()}"
    peer.call(0x23, {"name": name})
    peer.call(0x60, {"event_types": ["CUSTOM"]})
    for opcode, field, rest in (
        (0x20, b"message", b'"to_name":"' + name.encode() + b'"'),
        (0x22, b"message", b'"include_self":true'),
        (0x30, b"value", b'"key":"sneaky"'),
        (0x63, b"data", b'"event_type":"own"'),
    ):
        peer.call(opcode, b"{%s,%s" % (rest, b'"%s":%s}' % (field, value))).json()
    for opcode, request in ((0x21, {}), (0x31, {"key": "sneaky"}), (0x62, {"max": 100})):
        body = peer.call(opcode, request).json()
        assert body["success"] is True
    peer.call(0x32, {"key": "sneaky"})


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_a_payload_of_the_limit_is_read_and_one_byte_more_closes(
    kernel: Kernel, version: int, syscall: Syscall
) -> None:
    with kernel.peer() as peer:
        if version == 2:
            peer.hello2()
        padded = b"{" + b" " * (MAX_PAYLOAD - 3) + b"]"
        assert len(padded) == MAX_PAYLOAD - 1
        refused(syscall, peer.call(syscall.opcode, padded + b" "))
        size = MAX_PAYLOAD + 1 + (8 if version == 2 else 0)
        header = struct.pack("<IIBQ", 0x41474E54, 0, syscall.opcode, size)
        peer.socket.sendall(header)
        reply = peer.receive()
        body = json.loads(reply.payload[8 if version == 2 else 0 :])
        assert (body["success"], body["code"]) == (False, "limit_exceeded")
        assert peer.closed()
    kernel.answers()


def test_an_unknown_opcode_is_an_error_and_the_connection_lives(peer: Peer) -> None:
    for opcode in UNKNOWN:
        for payload in (b"", b"{}", b"garbage", b"\xff" * 1000):
            reply = peer.call(opcode, payload)
            body = reply.json()
            got = (reply.opcode, body["success"], body["code"])
            assert got == (opcode, False, "invalid_request")
    assert peer.call(0, b"alive").payload == b"alive"


def test_what_is_not_built_yet_says_so(peer: Peer) -> None:
    for opcode in LATER:
        for payload in (b"", b"{}", b"garbage"):
            body = peer.call(opcode, payload).json()
            assert (body["success"], body["code"]) == (False, "not_implemented")
            assert isinstance(body["error"], str)


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"\x00\xff" * 1000, b"{", bytes(MAX_PAYLOAD)], ids=len
)
def test_noop_gives_the_same_bytes(peer: Peer, payload: bytes) -> None:
    assert peer.call(0, payload).payload == payload


def test_exit_says_goodbye_and_then_closes(peer: Peer) -> None:
    assert peer.call(0xFF).payload == b"goodbye"
    peer.socket.shutdown(1)
    assert peer.closed()


def test_cancel_of_nothing_changes_nothing(peer: Peer) -> None:
    reply = peer.call(0xFD, struct.pack("<Q", 12345))
    assert reply.opcode == 0xFD
    assert peer.call(0, b"alive").payload == b"alive"


def test_the_id_in_a_request_is_never_believed(kernel: Kernel, version: int) -> None:
    with kernel.peer() as one, kernel.peer() as two:
        for peer in (one, two):
            if version == 2:
                peer.hello2()
        first = one.call(0).agent_id
        second = two.call(0).agent_id
        assert first != second
        for claimed in (first, 0, 2**32 - 1):
            two.send(0x40, b"{}", agent_id=claimed)
            assert two.receive().agent_id == second


def test_ids_are_not_used_again(kernel: Kernel) -> None:
    seen = []
    for _ in range(20):
        with kernel.peer() as peer:
            seen.append(peer.call(0).agent_id)
    assert len(set(seen)) == len(seen)
    assert seen == sorted(seen)


def test_error_replies_carry_the_usual_fields_with_empty_values(peer: Peer) -> None:
    body = check(BY_NAME["READ"], peer.call(0x03, {"path": "no-such-file"}))
    assert body["code"] == "not_found"
    assert (body["content"], body["size"]) == ("", 0)
    body = check(BY_NAME["EXEC"], peer.call(0x02, {"command": 5}))
    assert (body["stdout"], body["stderr"]) == ("", "")


def test_a_file_is_read_as_it_was_written(peer: Peer, kernel: Kernel) -> None:
    text = "grüße\n" * 100
    written = peer.call(0x04, {"path": "note.txt", "content": text}).json()
    assert written["bytes_written"] == len(text.encode())
    read = peer.call(0x03, {"path": "note.txt"}).json()
    assert (read["content"], read["size"]) == (text, len(text.encode()))
    assert (kernel.place / "note.txt").read_text() == text


def test_an_asynchronous_request_is_accepted_and_polled(peer: Peer) -> None:
    request = {"command": "echo hi", "async": True, "request_id": "r1"}
    accepted = peer.call(0x02, request).json()
    assert accepted["success"] is True
    assert accepted["async"] is True
    assert (accepted["request_id"], accepted["status"]) == ("r1", "accepted")
    for _ in range(2000):
        polled = check(BY_NAME["ASYNC_POLL"], peer.call(0x80))
        if polled["count"]:
            break
        time.sleep(0.01)
    (result,) = polled["results"]
    assert (result["request_id"], result["opcode"], result["opcode_name"]) == ("r1", 2, "EXEC")
    assert json.loads(result["payload"])["stdout"] == "hi\n"


def test_what_is_sent_arrives_with_its_sender(kernel: Kernel, version: int) -> None:
    with kernel.peer() as one, kernel.peer() as two:
        for peer in (one, two):
            if version == 2:
                peer.hello2()
        sender = one.call(0).agent_id
        receiver = two.call(0).agent_id
        sent = one.call(0x20, {"to": receiver, "message": {"n": [1, None, "ü"]}}).json()
        assert sent["delivered_to"] == receiver
        (mail,) = two.call(0x21).json()["messages"]
        assert (mail["from"], mail["from_id"]) == (sender, sender)
        assert mail["message"] == {"n": [1, None, "ü"]}
        assert mail["id"] == sent["message_id"]
        assert types_of(mail["age_ms"]) <= {"integer", "number"}


def test_an_event_arrives_with_its_own_type(peer: Peer) -> None:
    peer.call(0x60, {"event_types": ["CUSTOM"]})
    emitted = peer.call(0x63, {"event_type": "tea", "data": {"cups": 2}}).json()
    assert emitted["success"] is True
    events = peer.call(0x62).json()["events"]
    own = [event for event in events if event["type"] == "CUSTOM"]
    assert own[0]["data"]["custom_type"] == "tea"
    for field in ("type", "data", "source_agent_id", "timestamp", "age_ms"):
        assert field in own[0]


def test_list_gives_each_agent_with_its_fields(peer: Peer) -> None:
    agents = {agent["name"]: agent for agent in peer.call(0x12).json()}
    helper = agents["helper"]
    assert set(helper) >= {
        "id", "name", "pid", "state", "running", "uptime_ms", "parent_id", "restarts",
    }  # fmt: skip
    assert helper["running"] is True


def test_replies_of_version_1_come_in_order(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        peer.send(0x02, json.dumps({"command": "sleep 0.2; echo first"}).encode())
        for number in range(100):
            peer.send(0, str(number).encode())
        assert peer.receive().json()["stdout"] == "first\n"
        assert [peer.receive().payload for _ in range(100)] == [
            str(number).encode() for number in range(100)
        ]


def test_a_slow_request_of_version_2_holds_nothing_back(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        peer.hello2()
        slow = peer.send(0x21, b'{"wait": 60}')
        assert peer.call(0, b"quick").payload == b"quick"
        peer.send(0xFD, struct.pack("<Q", slow))
        tags = {struct.unpack_from("<Q", peer.receive().payload)[0] for _ in range(2)}
        assert tags == {slow, peer.number}


def test_version_2_needs_its_tags(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        peer.hello2()
        peer.socket.sendall(struct.pack("<IIBQ", 0x41474E54, 0, 0, 3) + b"abc")
        reply = peer.receive()
        body = json.loads(reply.payload[8:])
        assert body["code"] == "invalid_request"
        assert peer.call(0, b"alive").payload == b"alive"


def test_a_number_that_is_outstanding_cannot_be_used_again(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        peer.hello2()
        number = peer.send(0x21, b'{"wait": 60}')
        peer.number -= 1
        peer.send(0x12)
        reply = peer.receive()
        assert struct.unpack_from("<Q", reply.payload)[0] == number
        assert json.loads(reply.payload[8:])["code"] == "invalid_request"


def test_an_identity_is_resumed_with_its_name(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        hello = peer.hello2()
        peer.call(0x23, {"name": "resumed"})
    with kernel.peer() as again:
        reply = again.call(0xFE, {"protocol_version": 2, "resume": hello["resume"]})
        assert reply.json()["agent_id"] == hello["agent_id"]
        again.tagged = True
        assert again.call(0).agent_id == hello["agent_id"]
        sent = again.call(0x20, {"to_name": "resumed", "message": 1}).json()
        assert sent["delivered_to"] == hello["agent_id"]


@pytest.mark.parametrize("token", ["", "x", "A" * 256, "A" * 10_000, "\0"])
def test_a_wrong_resume_token_gives_nothing(kernel: Kernel, token: str) -> None:
    with kernel.peer() as peer:
        own = peer.call(0).agent_id
        try:
            reply = peer.call(0xFE, {"protocol_version": 1, "resume": token})
        except Closed:
            return
        assert reply.agent_id == own
