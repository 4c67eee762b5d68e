"""Every opcode with good, minimal, empty, malformed, mistyped and oversized requests."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.conftest import Kernel
from tests.conformance.contract import LATER, SYSCALLS, UNKNOWN
from tests.conformance.contract_lines import Syscall
from tests.conformance.json_types import VALUES, is_one_of
from tests.conformance.judging import BY_NAME, MAX_PAYLOAD, check
from tests.conformance.peer import Peer, Reply

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


@pytest.fixture(scope="module", autouse=True)
def others(kernel: Kernel) -> Iterator[None]:
    """An agent `helper` that only waits, `on-terminal` likewise, and one `ended` that has ended."""
    (kernel.place / "agent.py").write_text("import time\ntime.sleep(1000)\n")
    (kernel.place / "short.py").write_text("raise SystemExit(3)\n")
    with kernel.peer() as operator:
        _spawn(operator, "helper", "agent.py", stdin="stream")
        _spawn(operator, "on-terminal", "agent.py", tty={})
        _spawn(operator, "ended", "short.py")
        yield
        for agent in operator.call(0x12).json():
            operator.call(0x11, {"id": agent["id"]})


def _spawn(peer: Peer, name: str, script: str, **fields: Any) -> None:
    request = {"name": name, "script": script, "sandboxed": False, "allow_degraded": True, **fields}
    reply = peer.call(0x10, request).json()
    assert reply["success"] is True, reply


def refused(syscall: Syscall, reply: Reply) -> None:
    """Assert that this is an `invalid_request`."""
    body = check(syscall, reply)
    assert body.get("code") == "invalid_request", body


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_a_minimal_request_is_served(peer: Peer, syscall: Syscall) -> None:
    body = check(syscall, peer.call(syscall.opcode, syscall.minimal))
    if syscall.name in ("HTTP", "RUN", "DIAL", "TUNNEL_CONNECT"):
        assert body["success"] is False  # nobody listens there; nothing runs there any more
    else:
        assert body.get("success", True) is True, body
    if syscall.name == "SPAWN":
        killed = check(BY_NAME["KILL"], peer.call(0x11, {"name": "spawned"}))
        assert killed["killed"] is True
    if syscall.name == "KILL":
        _spawn(peer, "helper", "agent.py", stdin="stream")


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
def test_fields_that_the_kernel_does_not_know(peer: Peer, version: int, syscall: Syscall) -> None:
    """Version 1 ignores them and says so; version 2 drops no wish, but that of a greeting."""
    request = {**syscall.minimal, "from_the_future": [{"any": "thing"}], "name2": None}
    if syscall.name == "SPAWN":
        request["script"] = "no-such-script.py"
    reply = peer.call(syscall.opcode, request)
    body = check(syscall, reply)
    if syscall.name == "HELLO":
        assert body["success"] is True, body
    elif version == 2:
        assert body["code"] == "invalid_request", body
        assert "from_the_future" in body["error"], body
    elif syscall.name != "LIST":
        assert body.get("code") != "invalid_request", body
        assert "from_the_future" in body["warnings"][0], body
    if syscall.name == "KILL" and version == 1:
        _spawn(peer, "helper", "agent.py", stdin="stream")


@pytest.mark.parametrize("syscall", SYSCALLS, ids=str)
@pytest.mark.parametrize("empty", [b"", b"{}", b" {} \n"], ids=["empty", "braces", "spaces"])
def test_an_empty_request_means_no_fields(peer: Peer, syscall: Syscall, empty: bytes) -> None:
    body = check(syscall, peer.call(syscall.opcode, empty))
    if syscall.required or syscall.minimal.get("name") in {"helper", "ended", "on-terminal"}:
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
        _spawn(peer, "helper", "agent.py", stdin="stream")


NAMES = {
    "slash": "a/b",
    "parent": "..",
    # WRITE, MKDIR and REMOVE take these too, and the kernel may be root's: they must lead nowhere.
    "nested parent": "../../proc/nowhere/there",
    "absolute": "/proc/nowhere/there",
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
        _spawn(peer, "helper", "agent.py", stdin="stream")


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
            if opcode in (0x70, 0x71, 0x72):
                assert (body["recording"], body["entry_count"], body["state"]) == (False, 0, "IDLE")
            if opcode in (0x73, 0x74):
                assert (body["total_entries"], body["progress_percent"]) == (0, 0)


def test_list_gives_each_agent_with_its_fields(peer: Peer) -> None:
    agents = {agent["name"]: agent for agent in peer.call(0x12).json()}
    helper = agents["helper"]
    assert set(helper) >= {
        "id", "name", "pid", "state", "running", "uptime_ms", "parent_id", "restarts",
    }  # fmt: skip
    assert helper["running"] is True
