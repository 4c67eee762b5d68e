"""Tunnels of version 1 whose kernels do not read, or say what they should not."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from twisted.internet.task import Clock

from clove.errors import PermissionDenied
from clove.messages.relay import Caller
from clove.relay.hub.agent_v1 import AgentV1
from clove.relay.hub.limits import HubLimits
from clove.relay.hub.machine_v1 import MOST_UNREAD, MachineV1


class FakeSocket:
    """A WebSocket that counts what waits."""

    address = ""
    pongs = 0

    def __init__(self) -> None:
        self.full = self.paused = self.aborted = False
        self.receiver: Any = None
        self.said: list[bytes] = []

    def send_text(self, text: bytes) -> None:
        self.said.append(text)

    def allow(self, size: int) -> None: ...

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.aborted = True

    end = abort

    @property
    def unread(self) -> int:
        return sum(map(len, self.said))


def machine() -> tuple[MachineV1, FakeSocket]:
    clock, socket = Clock(), FakeSocket()
    found = MachineV1(clock, clock.seconds, HubLimits(), "old", lambda machine, reason: None)
    sent: Any = socket
    found.attach(sent)
    return found, socket


def agent(tunnel: MachineV1) -> tuple[AgentV1, FakeSocket]:
    caller, socket = Caller(id=1000, name="a", token_id="t"), FakeSocket()
    found = AgentV1(HubLimits(), caller, "old", 0.0, tunnel.way, lambda agent, reason: None)
    found.connect()
    sent: Any = socket
    found.attach(sent, deque())
    return found, socket


def request(size: int) -> bytes:
    return json.dumps({"type": "syscall", "opcode": 0, "payload": "A" * size}).encode()


def test_a_kernel_that_does_not_read_what_it_is_answered_is_cut_off() -> None:
    tunnel, socket = machine()
    socket.full = True
    for _ in range(MOST_UNREAD):
        tunnel.text_received(b"[]")
        if socket.aborted:
            break
    assert socket.aborted
    assert socket.unread <= 2 * MOST_UNREAD


def test_an_agent_is_not_read_while_its_kernel_is_not_reading() -> None:
    tunnel, far = machine()
    one, near = agent(tunnel)
    far.full = True
    one.text_received(request(4))
    assert near.paused
    far.full = False
    tunnel.writable()
    assert not near.paused


def test_requests_to_a_kernel_that_does_not_read_are_refused_and_others_answered_in_order() -> None:
    tunnel, far = machine()
    one, near = agent(tunnel)
    far.full = True
    for _ in range(200):
        one.text_received(request(1 << 20))
    assert far.unread < 2 * MOST_UNREAD
    assert not far.aborted
    assert json.loads(near.said[-1])["code"] == "unavailable"
    sent = sum(b'"syscall"' in text for text in far.said)
    for _ in range(sent + 5):
        answer = {"type": "response", "agent_id": 1000, "opcode": 0, "payload": ""}
        tunnel.text_received(json.dumps(answer).encode())
    assert sum(b'"response"' in text for text in near.said) == sent


def test_an_answer_to_something_that_is_no_number_is_for_no_agent() -> None:
    tunnel, socket = machine()
    numbers: list[object] = [[], {}, "1000", 1000.0, None]
    for number in numbers:
        tunnel.text_received(
            json.dumps({"type": "response", "agent_id": number, "opcode": 0}).encode()
        )
    assert not socket.aborted


def test_no_token_with_permissions_reaches_a_kernel_that_cannot_be_told() -> None:
    tunnel, socket = machine()
    caller = Caller(id=1000, name="a", token_id="t", permissions={"can_exec": False})
    narrow = AgentV1(HubLimits(), caller, "old", 0.0, tunnel.way, lambda agent, reason: None)
    with pytest.raises(PermissionDenied, match="version 1"):
        narrow.connect()
    assert (tunnel.callers, socket.said) == (0, [])
