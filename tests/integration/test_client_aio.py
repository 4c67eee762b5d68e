"""The asyncio client against a real kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from clove import AsyncClient, CloveClient
from clove.errors import AlreadyExists, ConnectionLost, NotFound
from tests.waiting import until

SECONDS = 30.0
AGENT = """
import asyncio, sys
from clove import AsyncClient

async def main():
    async with AsyncClient() as client, asyncio.TaskGroup() as group:
        for key in "abc":
            group.create_task(client.store(key, client.agent_id))

asyncio.run(main())
assert "twisted" not in sys.modules and "msgspec" not in sys.modules
print("stored")
"""


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, SECONDS))


def test_a_slow_call_holds_nothing_up(kernel: Any) -> None:
    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            waiting = asyncio.create_task(client.recv_messages(wait=60))
            replies = await asyncio.gather(*(client.noop(b"%d" % n) for n in range(100)))
            assert replies == [b"%d" % n for n in range(100)]
            assert client.agent_id == (await client.hello())["agent_id"] > 0
            waiting.cancel()

    run(test())


def test_a_cancelled_receive_loses_no_message(kernel: Any) -> None:
    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.recv_messages(wait=60)
            await client.send_message("kept", to=client.agent_id)
            assert (await client.recv_messages(wait=30))["messages"][0]["message"] == "kept"

    run(test())


def test_cancelling_ends_a_command_in_the_kernel(kernel: Any, tmp_path: Path) -> None:
    started = tmp_path / "started"

    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            command = f"echo $$ > {started}.new; mv {started}.new {started}; exec sleep 1000"
            task = asyncio.create_task(client.exec(command))
            await asyncio.to_thread(until, started.exists, "the command starts")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.noop()

    run(test())
    process = Path("/proc", started.read_text().strip())
    until(lambda: not process.exists(), "the command ends")


def test_events_are_pushed(kernel: Any) -> None:
    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            await client.subscribe("CUSTOM", push=True)
            await client.emit_event("lunch", {"at": 12})
            async for event in client.events():
                assert event["data"]["custom_type"] == "lunch"
                break

    run(test())


def test_streams(kernel: Any, tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text("for n in range(3): print(n)\n")

    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            stream = client.think_stream("Say something about bees")
            text = "".join([piece async for piece in stream])
            assert stream.result is not None
            assert stream.result["content"] == text
            agent = await client.spawn("aio-counter", str(script))
            lines = [line["text"] async for line in client.follow_logs(agent["id"])]
            assert lines == ["0", "1", "2"]
            assert (await client.wait("aio-counter"))["exit_code"] == 0
            with pytest.raises(NotFound):
                await client.kill("nobody")

    run(test())


def test_a_stream_that_is_left_is_cancelled_in_the_kernel(kernel: Any, script: Any) -> None:
    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            agent = await client.spawn(
                "aio-up", script("import time\nprint('up', flush=True)\ntime.sleep(1000)\n")
            )
            for _ in range(3):
                async with client.follow_logs(agent["id"]) as lines:
                    assert (await anext(lines))["text"] == "up"
                    break
            await client.kill(agent["id"])

    run(test())


WRITER = """
import os, sys
for number in range(int(sys.argv[-1])):
    os.write(1 + number % 2, b"\\xff%d\\0" % number * 1000)
"""


def test_an_attached_client_gets_every_byte_at_its_own_pace(kernel: Any, script: Any) -> None:
    count = 300  # more than pipes and the spool hold

    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            path = script(WRITER)
            agent = await client.spawn("aio-writer", path, args=[str(count)], attach=True)
            found = {"stdout": b"", "stderr": b""}
            async with client.attach(agent["id"]) as output:
                with pytest.raises(AlreadyExists):
                    await anext(client.attach(agent["id"]))
                async for stream, data in output:
                    found[stream] += data
            for at, stream in enumerate(found):
                wanted = b"".join(b"\xff%d\0" % n * 1000 for n in range(at, count, 2))
                assert found[stream] == wanted
            assert output.offset == sum(map(len, found.values()))
            assert (await client.wait(agent["id"]))["exit_code"] == 0

    run(test())


def test_leaving_an_attachment_leaves_the_agent_to_itself(kernel: Any, script: Any) -> None:
    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            path = script(WRITER)
            for _ in range(2):
                agent = await client.spawn("aio-left", path, args=["300"], attach=True)
                async for _, data in client.attach(agent["id"]):
                    assert data
                    break
                assert (await client.wait(agent["id"], timeout=60))["exit_code"] == 0

    run(test())


def test_a_lost_connection_ends_an_attachment(kernel: Any, script: Any) -> None:
    async def lose(client: AsyncClient, agent: int) -> None:
        async for _ in client.attach(agent):
            link = client._connection.link
            assert link is not None
            assert link._transport is not None
            link._transport.abort()

    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            path = script("import time\nprint('up', flush=True)\ntime.sleep(100)\n")
            agent = await client.spawn("aio-lost", path, attach=True)
            with pytest.raises(ConnectionLost):
                await lose(client, agent["id"])
            await client.kill("aio-lost")

    run(test())


def test_a_lost_connection_keeps_its_identity(kernel: Any) -> None:
    async def test() -> None:
        async with AsyncClient(kernel.socket) as client:
            await client.register_name("aio")
            identity = client.agent_id
            link = client._connection.link
            assert link is not None
            assert link._transport is not None
            link._transport.abort()
            while client.connected:  # noqa: ASYNC110 (the loop's next turns end it)
                await asyncio.sleep(0)
            assert (await client.send_message("me", to_name="aio"))["delivered_to"] == identity
            assert client.agent_id == identity

    run(test())


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_sandboxed_agent_has_the_client(client: CloveClient, script: Any, warm: bool) -> None:
    agent = client.spawn("aio-agent", script(AGENT), warm=warm)
    assert client.wait(agent["id"], timeout=60)["exit_code"] == 0, client.logs(agent["id"])
    assert client.logs(agent["id"])["lines"][-1]["text"] == "stored"
    assert client.fetch("b")["value"] == agent["id"]
