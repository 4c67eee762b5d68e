"""Hostile kernels, agents and strangers against a relay (attacks.md, rows 20 to 26)."""

from __future__ import annotations

import base64
import json
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from clove import CloveClient
from clove.framing import Opcode
from tests.integration.fleet.fleet_processes import Fleet, running_fleet
from tests.integration.fleet.peer_v1 import PeerV1, text_frame


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


def resident(fleet: Fleet) -> int:
    """Kilobytes of the relay's memory."""
    assert fleet.process is not None
    with open(f"/proc/{fleet.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def request(payload: str) -> bytes:
    """A NOOP of version 1, as a WebSocket has it."""
    said = {"type": "syscall", "opcode": int(Opcode.NOOP), "payload": payload}
    return text_frame(json.dumps(said).encode())


def agent(fleet: Fleet, machine: str, token: str) -> PeerV1:
    peer = PeerV1(fleet.hub_port)
    peer.say("agent_auth", name="remote", token=token, target_machine=machine)
    answer = peer.hear()
    assert answer["type"] == "auth_ok", answer
    return peer


def test_large_requests_one_upon_the_other_are_all_answered(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    payload = base64.b64encode(b"x" * (1 << 20)).decode()
    data = request(payload)
    with agent(fleet, "one", fleet.agent_token("one")) as peer:
        assert kernel.process is not None
        kernel.process.send_signal(signal.SIGSTOP)
        peer.send(data * 3)
        time.sleep(0.5)  # so that requests wait in the relay
        kernel.process.send_signal(signal.SIGCONT)
        for _ in range(3):
            assert peer.hear()["payload"] == payload


def old_kernel(fleet: Fleet, machine: str) -> PeerV1:
    """A tunnel of version 1."""
    fleet.ask("POST", "/machines", {"machine_id": machine})
    token = fleet.ask("POST", "/tokens/machine", {"machine_id": machine, "name": "old"})["token"]
    peer = PeerV1(fleet.hub_port)
    peer.say("kernel_auth", machine_id=machine, token=token)
    assert peer.hear()["type"] == "auth_ok"
    return peer


def flood(peer: PeerV1, data: bytes, most: int) -> int:
    """Send as long as it is read; how many bytes that were."""
    peer.set_timeout(1)
    sent = 0
    try:
        while sent < most:
            peer.send(data)
            sent += len(data)
    except OSError:
        pass
    return sent


@pytest.mark.time_limit(120)
def test_a_kernel_that_does_not_read_its_requests_takes_no_memory_of_the_relay(
    fleet: Fleet,
) -> None:
    with old_kernel(fleet, "old"):
        token = fleet.agent_token("old")
        data = request(base64.b64encode(b"x" * (1 << 20)).decode())
        before = resident(fleet)
        for _ in range(4):
            with agent(fleet, "old", token) as peer:
                flood(peer, data, 100 << 20)
        assert resident(fleet) - before < 100_000


@pytest.mark.time_limit(120)
def test_a_machine_that_stands_still_takes_no_memory_of_the_relay(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    token = fleet.agent_token("one")
    data = request(base64.b64encode(b"x" * (1 << 20)).decode())
    assert kernel.process is not None
    before = resident(fleet)
    peers = [agent(fleet, "one", token) for _ in range(3)]
    kernel.process.send_signal(signal.SIGSTOP)
    try:
        for peer in peers:
            flood(peer, data, 80 << 20)
        grown = resident(fleet) - before
    finally:
        kernel.process.send_signal(signal.SIGCONT)
        for peer in peers:
            peer.close()
    assert grown < 60_000


def test_silent_connections_keep_no_other_out(fleet: Fleet) -> None:
    kernel = fleet.join("one")
    silent = [socket.create_connection(("127.0.0.1", fleet.hub_port)) for _ in range(1500)]
    try:
        with agent(fleet, "one", fleet.agent_token("one")) as peer:
            assert peer.ask(int(Opcode.LIST)) == []
        assert fleet.descriptors() < 1200
        with CloveClient(kernel.socket) as operator:
            assert operator.tunnel_status()["connected"]
    finally:
        for each in silent:
            each.close()


def test_an_endless_head_of_a_handshake_is_cut_off(fleet: Fleet) -> None:
    before = resident(fleet)
    with socket.create_connection(("127.0.0.1", fleet.hub_port)) as stream:
        stream.settimeout(10)
        with pytest.raises(ConnectionError):
            stream.sendall((b"X: " + b"y" * 32_000 + b"\r\n") * 1000)
    assert resident(fleet) - before < 20_000
    assert fleet.ask("GET", "/machines")["machines"] == []
