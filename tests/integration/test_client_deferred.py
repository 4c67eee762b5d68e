"""The Deferred client against a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime

from clove.client.deferred import DeferredClient
from clove.client.methods import sharing
from clove.errors import NotFound, TimedOut

clock = cast(IReactorTime, reactor)


async def test_a_slow_call_holds_nothing_up(kernel: Any) -> None:
    async with DeferredClient(clock, kernel.socket) as client:
        waiting = client.recv_messages(wait=60)
        replies = await gatherResults([client.noop(b"%d" % n) for n in range(100)])
        assert replies == [b"%d" % n for n in range(100)]
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting


async def test_a_cancelled_receive_loses_no_message(kernel: Any) -> None:
    async with DeferredClient(clock, kernel.socket) as client:
        waiting = client.recv_messages(wait=60)
        await client.noop()
        waiting.cancel()
        with pytest.raises(CancelledError):
            await waiting
        await client.send_message("kept", to=client.agent_id)
        assert (await client.recv_messages(wait=30))["messages"][0]["message"] == "kept"


async def test_events_are_pushed(kernel: Any) -> None:
    came: Deferred[Any] = Deferred()
    async with DeferredClient(clock, kernel.socket, on_event=came.callback) as client:
        await client.subscribe("CUSTOM", push=True)
        await client.emit_event("lunch", {"at": 12})
        assert (await came)["data"]["custom_type"] == "lunch"


async def test_streams(kernel: Any, tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text("for n in range(3): print(n)\n")
    async with DeferredClient(clock, kernel.socket) as client:
        pieces: list[str] = []
        reply = await client.think_stream(pieces.append, "Say something about bees")
        assert "".join(pieces) == reply["content"]
        lines: list[Any] = []
        agent = await client.spawn("counter", str(script))
        await client.follow_logs(lines.append, agent["id"])
        assert [line["text"] for line in lines] == ["0", "1", "2"]
        assert (await client.wait("counter"))["exit_code"] == 0


async def test_errors_and_time_outs(kernel: Any) -> None:
    async with DeferredClient(clock, kernel.socket) as client:
        await client.noop()  # it is connected, which may take longer
        client.timeout = 0.05
        call = sharing.recv_messages(wait=60)
        call.patience = 0.0  # give up long before the kernel does
        with pytest.raises(TimedOut):
            await client.ask(call)
        client.timeout = 30
        with pytest.raises(NotFound):
            await client.kill("nobody")


async def test_a_lost_connection_keeps_its_identity(kernel: Any) -> None:
    async with DeferredClient(clock, kernel.socket) as client:
        await client.register_name("deferred")
        identity = client.agent_id
        link = client._connection.link
        assert link is not None
        cast(Any, link.transport).abortConnection()
        await link.gone
        assert (await client.send_message("me", to_name="deferred"))["delivered_to"] == identity
        assert client.agent_id == identity
