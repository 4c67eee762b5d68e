from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from clove.client.deferred import DeferredClient
from clove.client.limits import ClientLimits
from clove.errors import ConnectionLost, LimitExceeded, NotFound, PermissionDenied, TimedOut
from clove.framing import Opcode

clock = cast(IReactorTime, reactor)
QUICK = ClientLimits(reconnects=2, first_pause=0.0)


def echo(ask: Any) -> Any:
    return ask.body if ask.opcode == Opcode.NOOP else {"success": True, "asked": ask.fields}


async def test_speaks_version_2_and_takes_its_id(peer: Any) -> None:
    peer.answer = echo
    async with DeferredClient(clock, peer.path) as client:
        assert (client.protocol_version, client.agent_id) == (2, 1)
        assert (await client.hello())["kernel_version"] == "test"
        assert await client.noop(b"\x00abc") == b"\x00abc"
        assert (await client.fetch("k"))["asked"] == {"key": "k"}


@pytest.mark.parametrize("version", [0, 1])
async def test_falls_back_to_version_1(peer: Any, version: int) -> None:
    peer.version = version
    peer.answer = echo
    async with DeferredClient(clock, peer.path) as client:
        assert client.protocol_version == 1
        replies = await gatherResults([client.noop(b"%d" % n) for n in range(20)])
        assert replies == [b"%d" % n for n in range(20)]


async def test_says_how_to_start_a_kernel_that_is_not_there(socket_directory: Path) -> None:
    with pytest.raises(ConnectionLost) as caught:
        await DeferredClient(clock, f"{socket_directory}/none").connect()
    assert "no kernel listens" in caught.value.message
    assert "twistd -n clove-kernel" in caught.value.hint


async def test_raises_what_a_kernel_says_to_a_stranger(peer: Any) -> None:
    peer.refusal = {"success": False, "error": "not you", "code": "permission_denied"}
    with pytest.raises(PermissionDenied):
        await DeferredClient(clock, peer.path).connect()


async def test_replies_come_in_any_order(peer: Any) -> None:
    held: list[Any] = []

    def answer(ask: Any) -> None:
        held.append(ask)
        if len(held) == 3:
            for one in reversed(held):
                one.reply({"success": True, "key": one.fields["key"]})

    peer.answer = answer
    async with DeferredClient(clock, peer.path) as client:
        replies = await gatherResults([client.fetch(key) for key in "abc"])
        assert [reply["key"] for reply in replies] == ["a", "b", "c"]


async def test_errors_are_typed(peer: Any) -> None:
    peer.answer = lambda ask: {"success": False, "error": "who?", "code": "not_found"}
    async with DeferredClient(clock, peer.path) as client:
        with pytest.raises(NotFound, match="who"):
            await client.kill("nobody")


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


async def test_a_time_out_cancels_and_leaves_the_connection_usable(peer: Any) -> None:
    peer.answer = lambda ask: echo(ask) if ask.opcode == Opcode.NOOP else None
    async with DeferredClient(clock, peer.path, timeout=0.02) as client:
        with pytest.raises(TimedOut):
            await client.wait("a", timeout=0.01)
        client.timeout = 30
        assert await client.noop(b"x") == b"x"
        assert "CANCEL" in peer.opcodes()
        assert len(peer.links) == 1


async def test_streams_call_back_with_each_piece(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        ask.reply({"success": True, "content": "one "}, more=True)
        ask.reply({"success": True, "content": "two"}, more=True)
        return {"success": True, "content": "one two", "tokens": 2}

    peer.answer = answer
    pieces: list[str] = []
    async with DeferredClient(clock, peer.path) as client:
        reply = await client.think_stream(pieces.append, "count")
    assert pieces == ["one ", "two"]
    assert reply["tokens"] == 2


async def test_a_stream_on_version_1_comes_in_one_piece(peer: Any) -> None:
    peer.version = 1
    peer.answer = lambda ask: {"success": True, "stdout": "out", "exit_code": 0}
    pieces: list[tuple[str, str]] = []
    async with DeferredClient(clock, peer.path) as client:
        await client.exec_stream(pieces.append, "x")
    assert pieces == [("stdout", "out")]


async def test_pushed_events_reach_the_callback(peer: Any) -> None:
    came: Deferred[Any] = Deferred()

    def answer(ask: Any) -> Any:
        ask.link.push({"type": "CUSTOM", "data": {}})
        return {"success": True}

    peer.answer = answer
    async with DeferredClient(clock, peer.path, on_event=came.callback) as client:
        await client.subscribe("CUSTOM", push=True)
        assert (await came)["type"] == "CUSTOM"


async def test_a_lost_connection_is_resumed_and_reads_are_repeated(peer: Any) -> None:
    def cut_once(ask: Any) -> None:
        peer.answer = echo
        ask.link.cut()

    peer.answer = cut_once
    async with DeferredClient(clock, peer.path, limits=QUICK) as client:
        assert (await client.fetch("k"))["asked"] == {"key": "k"}
        assert (client.agent_id, len(peer.links)) == (1, 2)


async def test_a_call_that_may_have_been_served_is_not_repeated(peer: Any) -> None:
    peer.answer = lambda ask: ask.link.cut()
    async with DeferredClient(clock, peer.path, limits=QUICK) as client:
        with pytest.raises(ConnectionLost):
            await client.store("k", 1)
        assert peer.opcodes().count("STORE") == 1
        peer.answer = echo
        assert (await client.store("k", 2))["success"] is True


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


async def test_exit_gives_the_goodbye(peer: Any) -> None:
    client = DeferredClient(clock, peer.path)
    assert await client.exit() == "goodbye"
    assert not client.connected


async def test_a_kernel_that_never_greets_is_a_time_out_each_time(peer: Any) -> None:
    peer.version = None
    client = DeferredClient(clock, peer.path, timeout=0.02)
    for _ in range(2):
        with pytest.raises(TimedOut):
            await client.noop()
    await client.close()
