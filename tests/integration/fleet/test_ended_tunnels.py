"""Tunnels and remote agents that have ended are gone at once: nothing of them waits for the collector of cycles."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from bench.fleet.machines import machine_id, register
from bench.fleet.processes import Simulator
from bench.fleet.tunnels import Job
from clove.client.remote import RemoteClient
from clove.relay.hub.limits import HubLimits
from clove.relay.hub.machine_link import MachineLink
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.relay.relays import Relay, running_relay

reactor: Any = global_reactor
TUNNELS = 20
NAMES = {
    "AgentLink",
    "AgentV1",
    "ChannelWay",
    "Conversation",
    "LinkReceiver",
    "MachineLink",
    "MachineV1",
    "MessageSocket",
    "Multiplex",
    "MultiplexedChannel",
    "Session",
    "Splice",
    "_Server",
    "_Side",
}
"""Classes of which every tunnel, agent and connection has an object."""


def there() -> Counter[str]:
    """How many objects of those there are."""
    names = (type(each).__name__ for each in gc.get_objects())
    return Counter(name for name in names if name in NAMES)


async def until(look: Callable[[], object], what: str) -> None:
    for _ in range(600):
        if look():
            return
        await deferLater(reactor, 0.05)  # a look goes over all objects
    raise AssertionError(f"never happened: {what}: {there()}")


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(tmp_path, hub=HubLimits(resume_seconds=0.1)) as relay:
        register(str(tmp_path / "relay.sqlite"), TUNNELS)
        gc.collect()
        gc.disable()
        try:
            yield relay
        finally:
            gc.enable()


def hub_port(relay: Relay) -> int:
    assert relay.parts.hub_port is not None
    return int(relay.parts.hub_port.getHost().port)  # type: ignore[attr-defined] # an IAddress


async def test_nothing_of_tunnels_is_left(relay: Relay) -> None:
    before = there()
    simulator = Simulator(Job(port=hub_port(relay), first=0, count=TUNNELS))
    try:
        for _ in range(2):
            assert (await deferToThread(simulator.do, "fill"))["connected"] == TUNNELS
            assert there()["MachineLink"] - before["MachineLink"] == TUNNELS
            await deferToThread(simulator.do, "cut")
            await until(lambda: not relay.parts.hub.links(), "the tunnels end")
            await until(lambda: there() == before, "nothing is left")
    finally:
        simulator.end()


async def test_nothing_of_tunnels_that_are_cut_here_is_left(relay: Relay) -> None:
    before = there()
    simulator = Simulator(Job(port=hub_port(relay), first=0, count=TUNNELS))
    try:
        await deferToThread(simulator.do, "fill")
        for number in range(TUNNELS):
            relay.parts.hub.cut(machine_id(number), "for a test")
        await until(lambda: there() == before, "nothing is left")
    finally:
        simulator.end()


@pytest.mark.parametrize("version", [1, 2])
async def test_nothing_of_remote_agents_is_left(relay: Relay, version: int) -> None:
    """The simulated kernel does not answer them; they go away unserved."""
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": machine_id(0)})
    simulator = Simulator(Job(port=hub_port(relay), first=0, count=1))
    try:
        await deferToThread(simulator.do, "fill")
        before = there()
        for _ in range(3):
            await deferToThread(visit, version, hub_port(relay), made["token"])
        await until(lambda: not relay.parts.hub.caller_count, "the agents end")
        await until(lambda: not (there() - before), "nothing is left")
    finally:
        simulator.end()


@pytest.mark.parametrize("way", ["token", "binary", "silent", "machine", "full"])
async def test_nothing_of_those_that_are_refused_is_left(relay: Relay, way: str) -> None:
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": machine_id(0)})
    simulator = Simulator(Job(port=hub_port(relay), first=0, count=1))
    try:
        await deferToThread(simulator.do, "fill")
        link = relay.parts.hub.links()[machine_id(0)]
        assert isinstance(link, MachineLink)
        before = there()
        if way == "machine":
            link.end("for a test")
        elif way == "full":
            link.link.limits = link.link.limits._replace(channels=0)
        for _ in range(3):
            await deferToThread(be_refused, way, hub_port(relay), made["token"])
        await until(lambda: not (there() - before), "nothing is left")
    finally:
        simulator.end()


def be_refused(way: str, port: int, token: str) -> None:
    """Come in as a remote agent that gets no further."""
    with PeerV1(port) as peer:
        if way == "binary":
            peer.send(b"\x82\x81" + bytes(5))
        elif way != "silent":
            said = {"name": "remote", "target_machine": machine_id(0), "protocol_version": 2}
            peer.say("agent_auth", token="wrong" if way == "token" else token, **said)
        if way != "silent":
            assert peer.hear()["type"] == "auth_error"


def visit(version: int, port: int, token: str) -> None:
    """Come in as a remote agent, and leave."""
    if version == 1:
        with PeerV1(port) as peer:
            peer.say("agent_auth", name="remote", token=token, target_machine=machine_id(0))
            assert peer.hear()["type"] == "auth_ok"
        return
    RemoteClient(f"ws://127.0.0.1:{port}", machine_id(0), token=token).close()
