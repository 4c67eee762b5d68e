"""A relay that stops says so to kernels and remote agents, and waits for those that answer, no longer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from clove.channels.multiplex import Multiplex
from clove.channels.session import FrameKind, parse
from clove.messages.relay import Caller
from clove.relay.hub.agent_link import AgentLink
from clove.relay.hub.hub import Hub
from clove.relay.hub.limits import HubLimits
from clove.relay.hub.machine_link import MachineLink

LIMITS = HubLimits(drain_seconds=5.0)


class Socket:
    """One WebSocket."""

    full = False
    address = "192.0.2.1"

    def __init__(self) -> None:
        self.receiver: Any = None
        self.control: list[dict[str, Any]] = []

    def send(self, message: bytes) -> None:
        _, kind, body = parse(message)
        if kind == FrameKind.CONTROL:
            self.control.append(json.loads(body))

    def allow(self, size: int) -> None: ...

    def end(self, reason: str) -> None:
        self.abort()

    def abort(self) -> None:
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.closed("cut")


class Elsewhere:
    """A machine at another relay.

    @ivar observers: told what becomes of its tunnel.
    """

    machine_id = "far"

    def __init__(self, clock: Clock) -> None:
        self._link = Multiplex(clock)
        self.observers: list[Any] = []

    def open(self, caller: Caller) -> Any:
        return self._link.open({})

    def observe(self, observer: Any) -> Any:
        self.observers.append(observer)
        return lambda: None


class House:
    """A hub with a tunnel, and a remote agent of a machine elsewhere."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hub = Hub(self.clock, self.clock.seconds, LIMITS)
        self.tunnel, self.caller = Socket(), Socket()
        self.machine = MachineLink(
            self.clock, self.clock.seconds, LIMITS, "one", "i", self.hub.machine_ended
        )
        self.hub.add_machine(self.machine)
        self.machine.attach(self._as_socket(self.tunnel), 0)
        self.far = Elsewhere(self.clock)
        far: Any = self.far
        self.agent = AgentLink(
            self.clock,
            LIMITS,
            Caller(id=1000, name="a", token_id="t"),
            far,
            0.0,
            self.hub.agent_ended,
        )
        self.hub.add_agent(self.agent)
        self.agent.attach(self._as_socket(self.caller), 0)

    @staticmethod
    def _as_socket(socket: Socket) -> Any:
        return socket

    def drain(self) -> Deferred[None]:
        draining = Deferred.fromCoroutine(self.hub.drain())
        self.clock.advance(0.0)
        return draining


@pytest.fixture
def house() -> House:
    return House()


def test_kernels_and_remote_agents_are_told(house: House) -> None:
    draining = house.drain()
    said = {"type": "drain", "seconds": 5.0}
    assert house.tunnel.control == [said]
    assert house.caller.control == [said]
    assert not draining.called
    house.clock.advance(5.0)
    assert draining.called


def test_it_is_over_at_the_moment_when_the_last_one_has_left(house: House) -> None:
    draining = house.drain()
    house.tunnel.abort()
    assert not draining.called
    house.caller.abort()
    assert draining.called
    assert not house.hub.links()
    assert house.hub.caller_count == 0
    house.clock.advance(0.0)
    assert house.clock.getDelayedCalls() == []


def test_those_that_have_no_connection_are_not_awaited(house: House) -> None:
    house.tunnel.abort()
    house.caller.abort()
    assert house.drain().called
    house.machine.end("")
    house.agent.end("")


def test_agents_of_a_machine_at_a_relay_that_stops_are_told(house: House) -> None:
    (observer,) = house.far.observers
    observer("drain")
    assert house.caller.control == [{"type": "drain", "seconds": 5.0}]
    house.caller.abort()
    assert house.hub.caller_count == 1, "this relay goes on, and so may its session"
    house.agent.end("")
    house.machine.end("")


def test_callers_at_other_relays_are_told_of_a_tunnel_here(house: House) -> None:
    heard: list[str] = []
    house.machine.observe(heard.append)
    draining = house.drain()
    assert heard == ["drain"]
    house.clock.advance(5.0)
    assert draining.called
