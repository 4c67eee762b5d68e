"""Whatever a kernel says to a relay, the relay serves others, and the machine is no other than itself (attack 20)."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.channels.session import FrameKind
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.hostile_kernel import Answer, HostileKernel
from tests.integration.fleet.peer_v1 import PeerV1
from tests.waiting import until


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


@contextlib.contextmanager
def hostile(
    fleet: Fleet, answer: Answer = lambda opcode, payload: b"{}"
) -> Iterator[HostileKernel]:
    """One that has joined as the machine `bad`, which is gone afterwards."""
    token = fleet.ask("POST", "/tokens/join", {"machine_id": "bad"})["token"]
    kernel = HostileKernel(fleet.hub_port, "bad", token, answer)
    assert kernel.answered["type"] == "auth_ok", kernel.answered
    kernel.start()
    try:
        yield kernel
    finally:
        kernel.close()
        fleet.ask("DELETE", "/machines/bad")


def status_of(fleet: Fleet, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """What an administrator is answered: JSON, an error, or events."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.rest_port, timeout=30)
    with contextlib.closing(connection):
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {fleet.admin}"}
        connection.request(method, f"/api/v1{path}", data, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[1]",
    "deep JSON": b"[" * 100_000,
    "no fields": b"{}",
    "success without fields": b'{"success":true}',
    "other types": b'{"success":true,"agent_id":{"a":1},"agents":7,"lines":"x","next":[],"lost":"no"}',
    "lists of other types": b'{"success":true,"agent_id":-1,"agents":[1,null],"lines":[1,{}],"next":1}',
    "endless numbers": b'{"success":true,"agent_id":1e999,"next":1e999,"lines":[],"agents":[]}',
    "an error that is none": b'{"success":false,"error":[],"code":{},"hint":7}',
    "an error of the relay's own": b'{"success":false,"error":"x","code":"not_authenticated"}',
    "no UTF-8": b'{"success":true,"agents":[{"name":"\xff"}]}',
    "a megabyte": b'{"success":true,"agents":"' + b"x" * (1 << 20) + b'"}',
}
DEPLOYMENT = {"machine_id": "bad", "script_name": "x.py", "script_content": "pass"}
CALLS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/machines/bad/agents", None),
    ("POST", "/agents/deploy", DEPLOYMENT),
    ("POST", "/agents/1/stop", {"machine_id": "bad"}),
    ("GET", "/agents/1/logs?machine_id=bad", None),
    ("GET", "/agents/1/logs?machine_id=bad&follow=true", None),
    ("GET", "/agents/1/stream?machine_id=bad", None),
)


@pytest.mark.time_limit(120)
@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_make_no_sense_are_the_machines_fault_and_in_no_log(
    name: str, fleet: Fleet
) -> None:
    begin = len(fleet.log)
    with hostile(fleet, lambda opcode, payload: ANSWERS[name]):
        for method, path, body in CALLS:
            status, said = status_of(fleet, method, path, body)
            assert status != 500, (path, said)
            assert status != 401, (path, said)  # that would be the relay's word
    assert "Traceback" not in fleet.log[begin:]


def test_no_kernel_speaks_for_another_machine(fleet: Fleet) -> None:
    """It has proved its own key, and says in every message what another would."""
    fleet.ask("POST", "/machines", {"machine_id": "good"})
    with hostile(fleet) as kernel:
        for said in (
            {"type": "pong", "id": 10**9},
            {"type": "kernel_auth", "machine_id": "good"},
        ):
            with contextlib.suppress(OSError):
                kernel.send(0, FrameKind.CONTROL, json.dumps(said).encode())
        assert kernel.cut.wait(20)  # a pong without a ping
        good = fleet.ask("GET", "/machines/good")
        assert (good["presence"], good["has_key"]) == ("disconnected", False)
        with PeerV1(fleet.hub_port) as peer:
            token = fleet.ask("POST", "/tokens/machine", {"machine_id": "bad"})["token"]
            peer.say("kernel_auth", machine_id="good", token=token)
            assert peer.hear()["code"] == "permission_denied"


BREAKING = {
    "OPEN": (1, FrameKind.OPEN, b'{"caller":{}}'),
    "data of no channel": (7, FrameKind.DATA, b"x"),
    "an unknown kind": (1, 9, b""),
    "an ACK of what was not sent": (0, FrameKind.ACK, b"\xff" * 8),
    "CONTROL without JSON": (0, FrameKind.CONTROL, b"["),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_kernel_that_breaks_the_rules_is_cut_off(name: str, fleet: Fleet) -> None:
    with hostile(fleet) as kernel:
        kernel.send(*BREAKING[name])
        assert kernel.cut.wait(20)
    assert fleet.ask("GET", "/agents")["agents"] == []


def resident(fleet: Fleet) -> int:
    """Bytes of the relay's memory."""
    assert fleet.process is not None
    text = Path(f"/proc/{fleet.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10


@pytest.mark.time_limit(120)
def test_floods_of_a_kernel_leave_the_relay_to_others(fleet: Fleet) -> None:
    """Pongs and pings without end, in as many frames as are taken."""
    with hostile(fleet) as kernel:
        before = resident(fleet)
        end = time.monotonic() + 3
        served = sent = 0
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                for _ in range(200):
                    kernel.send(0, FrameKind.CONTROL, b'{"type":"ping","id":1}')
                sent += 200
                assert fleet.ask("GET", "/status")["status"] == "ok"
                served += 1
        assert sent
        assert served
        assert resident(fleet) - before < 32 << 20
    assert "Traceback" not in fleet.log


def test_a_report_that_is_too_large_is_left_out(fleet: Fleet) -> None:
    """What a machine tells about itself is bounded, by the first message and by the registry."""
    made = fleet.ask("POST", "/machines", {"machine_id": "teller"})
    with PeerV1(fleet.hub_port) as peer:
        peer.say("kernel_auth", machine_id="teller", token=made["token"], versions={"x": "y" * 300})
        assert peer.hear()["code"] == "invalid_request"
    with PeerV1(fleet.hub_port) as peer:
        text = json.dumps({"type": "kernel_auth", "isolation": {"x": "y" * 70_000}}).encode()
        with contextlib.suppress(OSError):
            peer.say_text(text)
        with pytest.raises((EOFError, OSError)):
            peer.hear()
    until(lambda: fleet.ask("GET", "/machines/teller")["versions"] == {}, "nothing of it is kept")
