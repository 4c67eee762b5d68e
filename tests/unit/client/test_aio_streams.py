"""The asyncio client: streams, pushed events and back-pressure."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from clove.client.aio import AsyncClient
from clove.client.limits import ClientLimits
from clove.errors import ConnectionLost, InvalidRequest, LimitExceeded, TimedOut
from clove.framing import Opcode
from tests.unit.client.asyncio_tests import (
    SECONDS,
    connected,
    holding,
    one_piece,
    run,
    until,
    until_asked,
)
from tests.unit.client.echoing import QUICK, echo

# streams


def test_other_calls_work_while_a_stream_is_open(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        if ask.opcode == Opcode.LOGS:
            for number in range(3):
                ask.reply({"success": True, "lines": [{"offset": number}]}, more=True)
            return {"success": True, "lines": []}
        return echo(ask)

    async def test() -> None:
        async with connected(peer, answer) as client:
            seen = []
            async for line in client.follow_logs("a"):
                assert await client.noop(b"x") == b"x"
                seen.append(line["offset"])
            assert seen == [0, 1, 2]
            assert (await client.follow_logs("a").finish())["lines"] == []

    run(test())


def test_leaving_a_stream_cancels_it(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, one_piece) as client:
            async with client.think_stream("with") as stream:
                assert await anext(stream) == "first"
            async for piece in client.think_stream("break"):
                assert piece == "first"
                break
            closed = client.think_stream("close")
            assert await anext(closed) == "first"
            await closed.close()
            assert [piece async for piece in closed] == []
            with pytest.raises(ConnectionLost, match="closed before its end"):
                await closed.finish()
            gc.collect()
            await client.noop()
            assert sorted(peer.opcodes()[1:]) == ["CANCEL"] * 3 + ["NOOP"] + ["THINK"] * 3

    run(test())


def test_cancelling_a_task_that_waits_for_a_piece_cancels_the_stream(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, one_piece) as client:
            stream = client.exec_stream("x")
            assert await anext(stream) == ("stdout", "first")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(stream)
            await client.noop()
            assert peer.opcodes()[1:] == ["EXEC", "CANCEL", "NOOP"]
            assert [piece async for piece in stream] == []

    run(test())


def test_a_stream_that_takes_too_long_times_out(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, one_piece) as client:
            client.timeout = 0.01
            stream = client.exec_stream("x", timeout=0.01)
            with pytest.raises(TimedOut):
                await stream.finish()
            client.timeout = 30
            await client.noop()
            assert peer.opcodes()[1:] == ["EXEC", "CANCEL", "NOOP"]

    run(test())


def test_a_stream_is_begun_when_it_is_asked_for_and_not_before(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, one_piece) as client:
            stream = client.exec_stream("never")
            await client.noop()
            del stream
            assert peer.opcodes()[1:] == ["NOOP"]

    run(test())


def test_two_tasks_do_not_share_a_stream(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer) as client:
            stream = client.exec_stream("x")
            first = asyncio.create_task(stream.finish())
            await until_asked(peer, "EXEC")
            with pytest.raises(RuntimeError, match="another task"):
                await anext(stream)
            first.cancel()

    run(test())


def test_a_lost_connection_ends_a_stream_with_an_error(peer: Any) -> None:
    async def take(client: AsyncClient) -> None:
        async for _ in client.think_stream("x"):
            peer.cut()

    async def test() -> None:
        async with connected(peer, one_piece, limits=QUICK) as client:
            with pytest.raises(ConnectionLost, match="closed the connection"):
                await take(client)

    run(test())


# back-pressure


def flood(ask: Any) -> Any:
    """4 MB in pieces for an EXEC."""
    if ask.opcode != Opcode.EXEC:
        return holding(ask)
    for _ in range(PIECES):
        ask.reply({"success": True, "stdout": "x" * 1000}, more=True)
    return {"success": True, "stdout": ""}


PIECES = 4000
LITTLE = ClientLimits(stream_bytes=2 << 20)


def test_a_stream_that_is_not_taken_holds_the_kernel_up(peer: Any) -> None:
    async def test() -> None:
        async with (
            connected(peer, flood, limits=LITTLE) as client,
            client.exec_stream("flood") as stream,
        ):
            link = client._connection.link
            assert link is not None
            await until(lambda: not link._reading)
            assert sum([1 async for _ in stream]) == PIECES

    run(test())


def test_a_stream_that_is_not_taken_while_others_wait_is_bounded(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, flood, limits=LITTLE) as client:
            waiting = asyncio.create_task(client.wait("a"))
            async with client.exec_stream("flood") as stream:
                await until_asked(peer, "CANCEL")
                with pytest.raises(LimitExceeded, match="were not taken"):
                    await stream.finish()
            waiting.cancel()
            assert await client.noop(b"x") == b"x"

    run(test())


def test_what_the_kernel_does_not_take_is_not_piled_up(peer: Any) -> None:
    reads = threading.Event()

    def answer(ask: Any) -> Any:
        reads.wait(SECONDS)
        return echo(ask)

    async def test() -> None:
        async with connected(peer, answer) as client:
            tasks = [asyncio.create_task(client.noop(bytes(1 << 20))) for _ in range(50)]
            link = client._connection.link
            assert link is not None
            assert link._transport is not None
            await until(lambda: link._unsent >= 40)
            assert link._transport.get_write_buffer_size() < 3 << 20
            tasks.pop().cancel()
            reads.set()
            assert {len(reply) for reply in await asyncio.gather(*tasks)} == {1 << 20}

    run(test())


def test_requests_that_wait_for_room_count_as_calls_in_flight_and_end_with_the_connection(
    peer: Any,
) -> None:
    reads = threading.Event()
    peer.answer = lambda ask: reads.wait(SECONDS) and None

    async def test() -> None:
        client = AsyncClient(peer.path, limits=ClientLimits(outstanding=10, reconnects=0))
        await client.connect()
        tasks = [asyncio.create_task(client.write_file("f", "x" * 900_000)) for _ in range(10)]
        await until_asked(peer, "WRITE")
        with pytest.raises(LimitExceeded):
            await client.noop()
        await client.close()
        for task in tasks:
            with pytest.raises(ConnectionLost):
                await task
        reads.set()

    run(test())


# events


def test_events_are_iterated_over_kept_meanwhile_and_bounded(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        for number in range(5):
            ask.link.push({"type": "CUSTOM", "data": {"n": number}})
        return {"success": True}

    async def test() -> None:
        async with connected(peer, answer, limits=ClientLimits(events=3)) as client:
            await client.subscribe("CUSTOM", push=True)
            seen = []
            async for event in client.events():
                seen.append(event["data"]["n"])
                if event["data"]["n"] == 3:
                    break
            last = await client.next_event()
            assert last is not None
            assert [*seen, last["data"]["n"]] == [2, 3, 4]
            assert client.dropped_events == 2
            assert await client.next_event(0.0) is None
            assert await client.next_event(0.001) is None

    run(test())


def test_a_lost_connection_ends_the_events_with_an_error(peer: Any) -> None:
    async def take(client: AsyncClient) -> None:
        async for _ in client.events():
            peer.cut()

    async def test() -> None:
        async with connected(peer, echo, limits=QUICK) as client:
            await client.subscribe("CUSTOM", push=True)
            peer.links[0].push({"type": "CUSTOM", "data": {}})
            with pytest.raises(ConnectionLost):
                await take(client)

    run(test())


def test_version_1_pushes_no_events(peer: Any) -> None:
    peer.version = 1

    async def test() -> None:
        async with connected(peer) as client:
            with pytest.raises(InvalidRequest, match="pushes no events"):
                await client.next_event()

    run(test())
