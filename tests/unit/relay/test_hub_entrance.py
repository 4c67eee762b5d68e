"""Whatever a connection says first, it is answered or closed, and nothing of it is left."""

from __future__ import annotations

import gc
import json
import weakref
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from clove.channels.multiplex import Multiplex
from clove.channels.session import FrameKind, frame
from clove.errors import CloveError
from clove.messages.relay import Caller
from clove.relay.hub.agent_link import SILENT, AgentLink
from clove.relay.hub.descriptors import within_descriptors
from clove.relay.hub.entrance import Entrance
from clove.relay.hub.hub import Hub
from clove.relay.hub.limits import HubLimits


class Refused(CloveError):
    code = "not_authenticated"


class Doors:
    """Knows no token and no machine."""

    async def identify(self, token: str, source: str, machine_id: str = "") -> Any:
        if token == "good":
            return SimpleNamespace(
                token_id="t", kind="agent", machine_id="", permissions={}, expires=None
            )
        raise Refused("not valid")

    async def key_of(self, machine_id: str) -> bytes | None:
        return None

    async def may_reach(self, identity: Any, machine_id: str) -> bool:
        return True

    def watch(self, *what: Any) -> Any:
        return lambda: None


class FakeSocket:
    """One WebSocket."""

    address = "192.0.2.1"
    full = False
    pongs = 0

    def __init__(self) -> None:
        self.receiver: Any = None
        self.said: list[Any] = []
        self.ended = ""

    def send_text(self, text: bytes) -> None:
        self.said.append(json.loads(text))

    def send(self, message: bytes) -> None:
        raise AssertionError("nobody was let in")

    def allow(self, size: int) -> None: ...

    def known(self) -> None: ...

    def end(self, reason: str) -> None:
        self.ended = reason or "ended"
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.closed(reason)

    def abort(self) -> None:
        self.end("aborted")


class House:
    """An entrance with nothing behind it."""

    def __init__(self, limits: HubLimits | None = None) -> None:
        self.clock = Clock()
        self.hub = Hub(self.clock, self.clock.seconds, limits)
        doors: Any = Doors()
        self.entrance = Entrance(self.hub, "relay", doors, doors)

    def connect(self) -> FakeSocket:
        socket: Any = FakeSocket()
        self.entrance.accept(socket)
        found: FakeSocket = socket
        return found


words = st.sampled_from(
    [
        *("type", "kernel_auth", "agent_auth", "proof", "challenge", "machine_id", "token", "good"),
        *("protocol_version", "name", "target_machine", "public_key", "instance", "received"),
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6),
    max_leaves=12,
)
messages = st.one_of(
    st.tuples(st.just(True), st.binary(max_size=60)),
    st.tuples(st.just(True), values.map(lambda value: json.dumps(value).encode())),
    st.tuples(
        st.just(True),
        st.dictionaries(words, values, max_size=7).map(
            lambda value: json.dumps({**value, "type": "kernel_auth"}).encode()
        ),
    ),
    st.tuples(st.just(False), st.binary(max_size=60)),
)


@given(st.lists(messages, min_size=1, max_size=20))
def test_no_first_message_breaks_anything(said: list[tuple[bool, bytes]]) -> None:
    house = House()
    socket = house.connect()
    for is_text, data in said:
        if socket.receiver is None:
            break
        (socket.receiver.text_received if is_text else socket.receiver.binary_received)(data)
    house.clock.advance(20)
    assert socket.ended
    assert socket.receiver is None
    assert not house.entrance._unknown
    assert not house.hub.links()
    assert house.hub.caller_count == 0
    assert house.clock.getDelayedCalls() == []


def test_one_that_says_nothing_is_closed_in_time() -> None:
    house = House()
    socket = house.connect()
    house.clock.advance(9.9)
    assert not socket.ended
    house.clock.advance(0.2)
    assert "within 10 s" in socket.said[0]["error"]
    assert socket.ended


def test_those_that_say_nothing_are_closed_when_the_relay_stops() -> None:
    house = House()
    sockets = [house.connect() for _ in range(3)]
    house.entrance.stop()
    assert all(socket.ended for socket in sockets)


def test_one_that_goes_leaves_nothing() -> None:
    house = House()
    socket = house.connect()
    socket.abort()
    assert not house.entrance._unknown
    assert house.clock.getDelayedCalls() == []


def test_a_machine_that_is_not_there_is_said_not_to_be() -> None:
    socket = House().connect()
    text = {"type": "agent_auth", "name": "a", "token": "good", "target_machine": "one"}
    socket.receiver.text_received(json.dumps(text).encode())
    assert socket.said[0]["code"] == "unavailable"


def test_no_more_links_than_there_are_descriptors() -> None:
    limits = HubLimits(links=1000, unknown=100)
    assert within_descriptors(limits, 50, 5000) == limits
    fewer = within_descriptors(limits, 50, 150)
    assert (fewer.links, fewer.unknown) == (50, 50)
    assert within_descriptors(limits, 50, 10).links == 1


class FakeMachine:
    """A tunnel to nowhere."""

    machine_id = "one"

    def __init__(self, clock: Clock) -> None:
        self._link = Multiplex(clock)

    def open(self, caller: Caller) -> Any:
        return self._link.open({})

    def observe(self, observer: Any) -> Any:
        return lambda: None


def test_a_remote_agent_of_which_nothing_comes_is_cut_and_may_come_back() -> None:
    clock, ended = Clock(), list[str]()
    machine: Any = FakeMachine(clock)
    caller = Caller(id=1000, name="a", token_id="t")
    agent = AgentLink(
        clock, HubLimits(), caller, machine, 0.0, lambda link, reason: ended.append(reason)
    )
    socket: Any = FakeSocket()
    agent.attach(socket, 0)
    for _ in range(10):
        clock.advance(20)
        agent.link.received(frame(0, FrameKind.ACK, bytes(8)))
        agent.check()
    assert not socket.ended
    clock.advance(SILENT + 1)
    agent.check()
    assert socket.ended
    assert agent.status == "disconnected"
    again: Any = FakeSocket()
    agent.attach(again, 0)
    clock.advance(HubLimits().resume_seconds + 1)
    assert not ended
    again.abort()
    clock.advance(HubLimits().resume_seconds + 1)
    assert len(ended) == 1
    assert clock.getDelayedCalls() == []


def test_one_that_was_closed_in_time_is_freed_at_once() -> None:
    house = House()
    socket = house.connect()
    gone = weakref.ref(socket.receiver)
    gc.collect()
    gc.disable()
    try:
        house.clock.advance(11)
        del socket
        assert gone() is None
    finally:
        gc.enable()
