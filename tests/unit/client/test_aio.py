"""The asyncio client: cancellation, connections, event loops and processes."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import warnings
from typing import Any

import pytest

from clove.client.aio import AsyncClient
from clove.client.limits import ClientLimits
from clove.errors import ConnectionLost, InvalidRequest, LimitExceeded, NotFound
from clove.framing import Opcode
from tests.unit.client.asyncio_tests import (
    connected,
    holding,
    run,
    until,
    until_asked,
)
from tests.unit.client.echoing import QUICK, echo


def test_it_needs_no_twisted() -> None:
    code = (
        "import sys\n"
        "from clove import AsyncClient\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}\n"
        "    & {'twisted', 'zope', 'msgspec', 'greenlet'}))\n"
        "print(sorted(name for name in sys.modules if name.startswith('clove.')))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outside, ours = said.stdout.splitlines()
    assert outside == "[]"
    assert "clove.client.aio" in ours
    assert "clove.messages" not in ours
    assert "clove.client.results" not in ours, "types alone"
    assert "clove.client.blocking" not in ours


# cancellation


def test_cancelling_a_task_cancels_its_call_and_no_other(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer) as client:
            other = asyncio.create_task(client.store("k", 1))
            task = asyncio.create_task(client.wait("a"))
            await until_asked(peer, "WAIT")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await client.noop(b"x") == b"x"
            assert sorted(peer.opcodes()[1:]) == ["CANCEL", "NOOP", "STORE", "WAIT"]
            (wait,) = (ask for ask in peer.asked if ask.opcode == Opcode.WAIT)
            (cancel,) = (ask for ask in peer.asked if ask.opcode == Opcode.CANCEL)
            assert int.from_bytes(cancel.body, "little") == wait.number
            other.cancel()

    run(test())


def test_a_time_out_of_the_users_own_is_his_and_cancels(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.wait("a")
            await client.noop()
            assert peer.opcodes() == ["HELLO", "WAIT", "CANCEL", "NOOP"]

    run(test())


def test_a_failing_task_of_a_group_cancels_the_calls_of_the_others(peer: Any) -> None:
    def answer(ask: Any) -> Any:
        if ask.opcode == Opcode.KILL:
            return {"success": False, "error": "none", "code": "not_found"}
        return holding(ask)

    async def ask(client: AsyncClient) -> None:
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(client.wait(name))
            await until_asked(peer, "WAIT", 3)
            group.create_task(client.kill("d"))

    async def test() -> None:
        async with connected(peer, answer) as client:
            with pytest.raises(ExceptionGroup) as caught:
                await ask(client)
            assert [type(error) for error in caught.value.exceptions] == [NotFound]
            await client.noop()
            assert peer.opcodes().count("CANCEL") == 3

    run(test())


def test_a_cancelled_call_frees_its_place(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, limits=ClientLimits(outstanding=1)) as client:
            for _ in range(3):
                task = asyncio.create_task(client.wait("a"))
                await asyncio.sleep(0)
                with pytest.raises(LimitExceeded):
                    await client.noop()
                task.cancel()
                await asyncio.wait([task])
            assert await client.noop(b"x") == b"x"

    run(test())


# connecting


def test_calls_that_wait_for_a_connection_share_one_and_end_alone(peer: Any) -> None:
    peer.answer = echo

    async def test() -> None:
        client = AsyncClient(peer.path)
        given_up = asyncio.create_task(client.noop(b"no"))
        others = [asyncio.create_task(client.noop(b"%d" % n)) for n in range(3)]
        await asyncio.sleep(0)
        given_up.cancel()
        assert await asyncio.gather(*others) == [b"0", b"1", b"2"]
        assert given_up.cancelled()
        assert len(peer.links) == 1
        await client.close()

    run(test())


def test_when_no_call_waits_for_a_connection_any_more_it_is_given_up(peer: Any) -> None:
    peer.version = None

    async def test() -> None:
        client = AsyncClient(peer.path)
        task = asyncio.create_task(client.noop())
        await until_asked(peer, "HELLO")
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: len(asyncio.all_tasks()) <= 2)  # this one, and the one that times it
        peer.version = 2
        peer.answer = echo
        assert await client.noop(b"x") == b"x"
        await client.close()

    run(test())


def test_closing_ends_what_waits_for_a_connection(peer: Any) -> None:
    peer.version = None

    async def test() -> None:
        client = AsyncClient(peer.path)
        task = asyncio.create_task(client.noop())
        await until_asked(peer, "HELLO")
        await client.close()
        with pytest.raises(ConnectionLost, match="closed"):
            await task

    run(test())


def test_closing_ends_what_is_in_flight(peer: Any) -> None:
    async def test() -> None:
        client = await AsyncClient(peer.path).connect()
        peer.answer = holding
        tasks = [asyncio.create_task(client.store("k", n)) for n in range(3)]
        await until_asked(peer, "STORE", 3)
        await client.close()
        await until_asked(peer, "EXIT")
        for task in tasks:
            with pytest.raises(ConnectionLost, match="the client was closed"):
                await task

    run(test())


def test_a_connection_that_died_meanwhile_is_replaced_for_any_call(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, echo, limits=QUICK) as client:
            peer.stop()  # the loop has no chance to see that
            peer.start()
            assert (await client.store("k", 1))["success"] is True
            assert peer.opcodes().count("STORE") == 1

    run(test())


def test_the_end_of_an_idle_connection_is_seen(peer: Any) -> None:
    async def test() -> None:
        async with connected(peer, echo) as client:
            peer.cut()
            await until(lambda: not client.connected)
            assert await client.noop(b"x") == b"x"
            assert client.agent_id == 1

    run(test())


# event loops and processes


def test_another_event_loop_gets_a_connection_of_its_own_with_the_same_identity(peer: Any) -> None:
    peer.answer = echo
    client = AsyncClient(peer.path)

    async def ask() -> int:
        await client.noop()
        return client.agent_id

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # not closed, as asyncio says
        assert asyncio.run(ask()) == 1
        assert asyncio.run(ask()) == 1
        assert len(peer.links) == 2
        asyncio.run(client.close())
        gc.collect()


def test_a_client_in_two_event_loops_at_once_is_refused(peer: Any) -> None:
    refused: list[str] = []

    def elsewhere(client: AsyncClient) -> None:
        try:
            asyncio.run(client.noop())
        except InvalidRequest as error:
            refused.append(error.hint)

    async def test() -> None:
        async with connected(peer, echo) as client:
            await asyncio.to_thread(elsewhere, client)
            assert await client.noop(b"x") == b"x"

    run(test())
    assert len(refused) == 1
    assert "in each event loop" in refused[0]


def test_a_forked_child_gets_a_connection_of_its_own(peer: Any) -> None:
    peer.answer = echo
    read, write = os.pipe()

    def in_child(client: AsyncClient) -> None:
        try:
            asyncio.events._set_running_loop(None)
            asyncio.run(client.noop())
            os.write(write, b"%d" % client.agent_id)
        finally:
            os._exit(0)

    async def test() -> None:
        async with AsyncClient(peer.path) as client:
            child = os.fork()
            if child == 0:
                in_child(client)
            await asyncio.to_thread(os.waitpid, child, 0)
            assert os.read(read, 10) == b"2"
            assert await client.noop(b"still here") == b"still here"
            assert client.agent_id == 1

    run(test())
    os.close(read)
    os.close(write)
