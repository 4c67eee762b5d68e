from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from clove.client.deferred import DeferredClient
from clove.client.limits import ClientLimits
from clove.errors import ConnectionLost, LimitExceeded
from clove.framing import Opcode

clock = cast(IReactorTime, reactor)
QUICK = ClientLimits(reconnects=2, first_pause=0.0)


def echo(ask: Any) -> Any:
    return ask.body if ask.opcode == Opcode.NOOP else {"success": True, "asked": ask.fields}


async def test_cancelling_a_deferred_cancels_the_call(peer: Any) -> None:
    peer.answer = lambda ask: echo(ask) if ask.opcode == Opcode.NOOP else None
    async with DeferredClient(clock, peer.path) as client:
        waiting = client.wait("a")
        await client.noop()
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        assert await client.noop(b"x") == b"x"
        assert peer.opcodes()[1:-1] == ["WAIT", "NOOP", "CANCEL"]


async def test_pushed_events_reach_the_callback(peer: Any) -> None:
    came: Deferred[Any] = Deferred()

    def answer(ask: Any) -> Any:
        ask.link.push({"type": "CUSTOM", "data": {}})
        return {"success": True}

    peer.answer = answer
    async with DeferredClient(clock, peer.path, on_event=came.callback) as client:
        await client.subscribe("CUSTOM", push=True)
        assert (await came)["type"] == "CUSTOM"


async def test_a_refused_token_gives_a_new_identity(peer: Any) -> None:
    peer.answer = echo
    async with DeferredClient(clock, peer.path, limits=QUICK) as client:
        peer.tokens.clear()
        peer.cut()
        while client.connected:
            await deferLater(clock, 0)
        assert await client.noop(b"x") == b"x"
        assert client.agent_id == 3


async def test_calls_that_wait_for_a_connection_share_one(peer: Any) -> None:
    peer.answer = echo
    client = DeferredClient(clock, peer.path)
    given_up = client.noop(b"no")
    others = [client.noop(b"%d" % n) for n in range(3)]
    given_up.cancel()
    with pytest.raises(CancelledError):
        await given_up
    assert await gatherResults(others) == [b"0", b"1", b"2"]
    assert len(peer.links) == 1
    await client.close()


async def test_too_many_calls_in_flight_are_refused(peer: Any) -> None:
    peer.answer = lambda ask: None
    async with DeferredClient(clock, peer.path, limits=ClientLimits(outstanding=1)) as client:
        waiting = client.wait("a")
        with pytest.raises(LimitExceeded):
            await client.wait("b")
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting


async def test_closing_ends_what_is_in_flight(peer: Any) -> None:
    peer.answer = lambda ask: None
    client = await DeferredClient(clock, peer.path).connect()
    waiting = client.store("k", 1)
    await client.close()
    with pytest.raises(ConnectionLost):
        await waiting
    await client.close()
