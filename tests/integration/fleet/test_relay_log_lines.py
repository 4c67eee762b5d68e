"""What strangers send does not fill a relay's log; a rule that somebody known has broken is one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from bench.fleet.machines import machine_id, register
from bench.fleet.processes import Simulator
from bench.fleet.tunnels import Job
from tests.integration.fleet.peer_v1 import PeerV1
from tests.integration.relay.relays import Relay, running_relay

reactor: Any = global_reactor
BROKEN = b"\xf1\x80" + bytes(4)
"""A frame with reserved bits."""


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_relay(tmp_path) as relay:
        register(str(tmp_path / "relay.sqlite"), 1)
        yield relay


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged of WebSockets, by Autobahn or by us."""
    found: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith(("autobahn", "clove.channels")):
            found.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield found
    globalLogPublisher.removeObserver(observe)


def hub_port(relay: Relay) -> int:
    assert relay.parts.hub_port is not None
    return int(relay.parts.hub_port.getHost().port)  # type: ignore[attr-defined] # an IAddress


def break_a_rule(port: int, token: str = "") -> None:
    with PeerV1(port) as peer:
        if token:
            peer.say("agent_auth", name="remote", token=token, target_machine=machine_id(0))
            assert peer.hear()["type"] == "auth_ok"
        peer.send(BROKEN)
        with pytest.raises((EOFError, ConnectionError)):
            peer.hear()


def come_from_a_page(port: int) -> None:
    with PeerV1(port, "Origin: http://x.example\r\n") as peer:
        assert peer.status == 403


async def test_strangers_do_not_fill_the_log(relay: Relay, lines: list[str]) -> None:
    for _ in range(3):
        await deferToThread(break_a_rule, hub_port(relay))
    await deferToThread(come_from_a_page, hub_port(relay))
    assert lines == []


async def test_a_rule_that_a_remote_agent_breaks_is_one_line(
    relay: Relay, lines: list[str]
) -> None:
    made = await relay.made("/api/v1/tokens/agent", {"target_machine": machine_id(0)})
    simulator = Simulator(Job(port=hub_port(relay), first=0, count=1))
    try:
        await deferToThread(simulator.do, "fill")
        await deferToThread(break_a_rule, hub_port(relay), made["token"])
        while relay.parts.hub.caller_count:
            await deferLater(reactor, 0.01)
        assert len(lines) == 1
        assert "127.0.0.1 has broken a rule" in lines[0]
        assert "RSV" in lines[0]
    finally:
        simulator.end()
