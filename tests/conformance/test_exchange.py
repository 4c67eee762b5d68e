"""Identity, order, tags and resuming, in both versions."""

from __future__ import annotations

import json
import struct
import time

import pytest

from tests.conformance.conftest import Kernel
from tests.conformance.json_types import types_of
from tests.conformance.judging import BY_NAME, MAX_PAYLOAD, check
from tests.conformance.peer import Closed, Peer


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


def test_version_1_resumes_as_well(kernel: Kernel) -> None:
    with kernel.peer() as peer:
        hello = peer.call(0xFE).json()
        assert hello["protocol_version"] == 1
        peer.call(0x30, {"key": "mine", "value": 7, "scope": "agent"})
    with kernel.peer() as again:
        reply = again.call(0xFE, {"resume": hello["resume"]})
        assert reply.json()["agent_id"] == reply.agent_id == hello["agent_id"]
        assert reply.json()["resume"] not in ("", hello["resume"])
        assert again.call(0x31, {"key": "mine"}).json()["value"] == 7


def test_a_name_is_free_once_its_connection_has_ended_whatever_may_resume_it(
    kernel: Kernel,
) -> None:
    with kernel.peer() as peer:
        peer.call(0xFE)
        peer.call(0x23, {"name": "came back"})
    with kernel.peer() as again:
        assert again.call(0x23, {"name": "came back"}).json()["success"]
        sent = again.call(0x20, {"to_name": "came back", "message": 1}).json()
        assert sent["delivered_to"] == again.call(0).agent_id


@pytest.mark.parametrize("token", ["", "x", "A" * 256, "A" * 10_000, "\0"])
def test_a_wrong_resume_token_gives_nothing(kernel: Kernel, token: str) -> None:
    with kernel.peer() as peer:
        own = peer.call(0).agent_id
        try:
            reply = peer.call(0xFE, {"protocol_version": 1, "resume": token})
        except Closed:
            return
        assert reply.agent_id == own
