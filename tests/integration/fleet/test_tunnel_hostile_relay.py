"""Whatever a relay says to a kernel, the kernel goes on serving, and grants nothing by it (attack 20)."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from clove.channels.session import WINDOW, FrameKind
from clove.errors import CloveError
from clove.framing import Opcode, encode
from tests.integration.conftest import KernelProcess, running_kernel
from tests.unit.client.hostile_relay import AUTH_OK, Client, binary, hostile_relay, message, text
from tests.waiting import until

TOKEN = "clove_join_canary"
OK = {**AUTH_OK, "relay_id": "r", "machine_id": "one", "ping_seconds": 15.0}


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProcess]:
    with running_kernel() as process:
        yield process
        assert "Traceback" not in process.log, process.log[-8000:]
        assert TOKEN not in process.log


@pytest.fixture
def operator(kernel: KernelProcess) -> Iterator[CloveClient]:
    with CloveClient(kernel.socket) as client:
        yield client
        client.tunnel_disconnect()
        until(lambda: not client.tunnel_remotes()["count"], "no remote caller is left")
        assert client.noop(b"served") == b"served"


def resident(kernel: KernelProcess) -> int:
    """Bytes of memory."""
    text = Path(f"/proc/{kernel.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10


def caller(**fields: Any) -> bytes:
    said = {"id": 1000, "name": "a", "token_id": "t", "permissions": {}, **fields}
    return json.dumps({"caller": said}).encode()


REFUSED: dict[str, bytes] = {
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
    "an endless head": b"HTTP/1.1 101 Switching Protocols\r\n" + b"x: y\r\n" * 10_000,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_relay_is_told_nothing(name: str, operator: CloveClient) -> None:
    more: list[bytes] = []

    def serve(client: Client) -> None:
        client.send(REFUSED[name])
        more.append(client.head.partition(b"\r\n\r\n")[2] + client.stream.recv(1 << 16))

    with hostile_relay(serve) as url:
        with pytest.raises(CloveError):
            operator.tunnel_connect(url, "one", TOKEN)
        operator.tunnel_disconnect()
    assert not any(more)


ANSWERS: dict[str, bytes] = {
    "no JSON": message(1, b"{"),
    "deep JSON": message(1, b"[" * 60_000),
    "no UTF-8": message(1, b"\xff"),
    "let in without a challenge": text(OK),
    "version 1": text({"type": "auth_ok", "machine_id": "one"}),
    "a challenge that is none": text({"type": "challenge", "nonce": 1, "relay_id": []}),
    "frames before the answer": binary(1, FrameKind.DATA, b"x"),
    "a huge frame": b"\x82\x7f" + b"\x7f" + b"\xff" * 7,
    "a refusal": text({"type": "auth_error", "error": "\x1b[31mno\n" * 1000, "hint": "\x07"}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_kernel_is_let_in_after_a_challenge_alone(name: str, operator: CloveClient) -> None:
    def serve(client: Client) -> None:
        client.open()
        client.send(ANSWERS[name])
        client.wait()

    with hostile_relay(serve) as url:
        with pytest.raises(CloveError) as caught:
            operator.tunnel_connect(url, "one", TOKEN)
        operator.tunnel_disconnect()
    assert str(caught.value).isprintable()


PROVED: dict[str, bytes] = {
    "another relay's id": text({**OK, "relay_id": "other"}),
    "negative seconds": text({**OK, "resume_seconds": -1}),
    "endless seconds": message(
        1, json.dumps({**OK, "ping_seconds": 0}).encode()[:-1] + b',"resume_seconds":1e999}'
    ),
    "a negative count": text({**OK, "received": -1}),
    "more than was sent": text({**OK, "received": 5, "resumed": True}),
}


@pytest.mark.parametrize("name", PROVED)
def test_after_the_proof_what_a_relay_says_is_checked_as_well(
    name: str, operator: CloveClient
) -> None:
    def serve(client: Client) -> None:
        client.prove()
        client.send(PROVED[name])
        client.wait()

    with hostile_relay(serve) as url:
        with pytest.raises(CloveError):
            operator.tunnel_connect(url, "one", TOKEN)
        operator.tunnel_disconnect()


BREAKING: dict[str, bytes] = {
    "a text": text({"type": "ping"}),
    "an unknown kind": binary(1, 9),
    "an unknown channel": binary(7, FrameKind.DATA, b"x"),
    "a close of nothing": binary(7, FrameKind.CLOSE, b"{}"),
    "OPEN without JSON": binary(1, FrameKind.OPEN, b"{"),
    "OPEN without a caller": binary(1, FrameKind.OPEN, b"{}"),
    "OPEN of channel 0": binary(0, FrameKind.OPEN, caller()),
    "OPEN twice": binary(1, FrameKind.OPEN, caller()) * 2,
    "a caller without a name": binary(1, FrameKind.OPEN, caller(name="")),
    "a caller with a long name": binary(1, FrameKind.OPEN, caller(name="x" * 999)),
    "a caller with a negative id": binary(1, FrameKind.OPEN, caller(id=-1)),
    "a caller whose id is a text": binary(1, FrameKind.OPEN, caller(id="0")),
    "permissions that are none": binary(1, FrameKind.OPEN, caller(permissions=[])),
    "more than the window": binary(1, FrameKind.OPEN, caller())
    + binary(1, FrameKind.DATA, bytes(60_000)) * (WINDOW // 60_000 + 2),
    "too wide a window": binary(1, FrameKind.OPEN, caller())
    + binary(1, FrameKind.WINDOW, b"\xff" * 4) * 2,
    "an ACK of what was not sent": binary(0, FrameKind.ACK, b"\xff" * 8),
    "CONTROL without JSON": binary(0, FrameKind.CONTROL, b"[1]"),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_relay_that_breaks_the_rules_is_cut_off(name: str, operator: CloveClient) -> None:
    cut: list[str] = []

    def serve(client: Client) -> None:
        client.prove()
        client.send(text(OK) + BREAKING[name])
        client.wait()
        cut.append(name)

    with hostile_relay(serve) as url:
        with contextlib.suppress(CloveError):
            operator.tunnel_connect(url, "one", TOKEN)
        until(lambda: cut, "the kernel has closed the connection")
        operator.tunnel_disconnect()


@pytest.mark.parametrize(
    "fields",
    [
        {"permissions": {"level": "unrestricted", "can_exec": True}},
        {"permissions": {"level": "no level"}},
        {"permissions": {"allowed_paths": 7}},
        {"name": "root", "id": 0},
        {"name": "\x1b[31m", "id": 2**31},
    ],
    ids=str,
)
def test_no_word_of_a_relay_makes_a_caller_more_than_remote(
    fields: dict[str, Any], operator: CloveClient
) -> None:
    """It claims the operator's id, or an agent's, and permissions without a bound."""
    answers: list[bytes] = []
    ask = b'{"path": "/etc/hostname"}'

    def serve(client: Client) -> None:
        client.prove()
        client.send(text(OK) + binary(1, FrameKind.OPEN, caller(**fields)))
        client.send(binary(1, FrameKind.DATA, encode(0, Opcode.READ, ask)))
        for said in client.messages():
            answers.append(said)

    with hostile_relay(serve) as url:
        operator.tunnel_connect(url, "one", TOKEN)
        until(
            lambda: b"success" in b"".join(answers) or b"error" in b"".join(answers), "it answers"
        )
        for remote in operator.tunnel_remotes()["agents"]:
            assert remote["agent_id"] >= 1 << 31
        operator.tunnel_disconnect()
    said = b"".join(answers)
    assert b'"success":true' not in said.replace(b" ", b"")
    assert Path("/etc/hostname").read_bytes().strip() not in said


@pytest.mark.time_limit(120)
def test_floods_of_a_relay_leave_the_kernel_to_others(
    kernel: KernelProcess, operator: CloveClient
) -> None:
    """Callers that come and go, pings, and drains, for seconds; the operator is served meanwhile."""
    sent = [0]
    connected = threading.Event()

    def serve(client: Client) -> None:
        client.prove()
        client.send(text(OK))
        number = 1
        pings = binary(0, FrameKind.CONTROL, b'{"type":"ping","id":1}') * 50
        drains = binary(0, FrameKind.CONTROL, b'{"type":"drain","seconds":1}') * 5
        while True:
            churn = b"".join(
                binary(one, FrameKind.OPEN, caller(name=f"n{one}")) + binary(one, FrameKind.CLOSE)
                for one in range(number, number + 50)
            )
            client.send(churn + pings + (drains if connected.is_set() else b""))
            number += 50
            sent[0] += 50

    before = resident(kernel)
    with hostile_relay(serve) as url:
        operator.tunnel_connect(url, "one", TOKEN)
        connected.set()
        end = time.monotonic() + 3
        served = 0
        while time.monotonic() < end:
            assert operator.noop(b"on") == b"on"
            served += 1
        operator.tunnel_disconnect()
    assert sent[0] > 100
    assert served > 10
    assert resident(kernel) - before < 64 << 20
    found = operator.get_audit_log(category="SECURITY")["entries"]
    assert any(entry["event_type"] == "REMOTE_CONNECTED" for entry in found)
