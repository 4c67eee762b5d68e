"""One list of methods for all clients, and what users' type checkers know of it.

mypy judges the functions below that nothing calls in `make lint`.

An ignored error that mypy does not find is an error itself (strict has warn_unused_ignores).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, assert_type, cast

import pytest
from twisted.internet.defer import Deferred

from clove.client.aio import AsyncClient, AsyncStream
from clove.client.blocking import CloveClient, Stream
from clove.client.call import Call, StreamCall
from clove.client.deferred import DeferredClient
from clove.client.methods import (
    agents,
    file_tree,
    managing,
    sharing,
    streams,
    tunnel,
    watching,
    work,
)
from clove.client.methods.table import Methods
from clove.client.results import AgentEntry, ExecReply, SpawnReply, ThinkReply
from clove.framing import Opcode

T = TypeVar("T")
S = TypeVar("S")
Coroutines = Coroutine[Any, Any, T]
BUILDERS = {
    name: getattr(family, name)
    for family in (agents, file_tree, managing, sharing, streams, tunnel, watching, work)
    for name in family.__all__
}

if TYPE_CHECKING:

    def blocking(client: CloveClient) -> None:
        assert_type(client.noop(b"data"), bytes)
        assert_type(client.spawn("name", "script.py", sandboxed=True), SpawnReply)
        assert_type(client.list_agents(), list[AgentEntry])
        assert_type(client.think_stream("Say hello"), Stream[ThinkReply, str])
        assert_type(client.exec_stream("true", timeout=1.0), Stream[ExecReply, tuple[str, str]])
        assert_type(CloveClient.noop(client, b"data"), bytes)
        client.noop("text")  # type: ignore[arg-type]
        client.spawn("name", "script.py", sandbox=True)  # type: ignore[call-arg]
        client.exec_stream(print, "true")  # type: ignore[call-arg,arg-type]
        client.unheard_of()  # type: ignore[attr-defined]

    def deferring(client: DeferredClient, each: Callable[[str], None]) -> None:
        assert_type(client.noop(b"data"), Deferred[bytes])
        assert_type(client.spawn("name", "script.py", sandboxed=True), Deferred[SpawnReply])
        assert_type(client.list_agents(), Deferred[list[AgentEntry]])
        assert_type(client.think_stream(each, "Say hello"), Deferred[ThinkReply])
        assert_type(DeferredClient.noop(client, b"data"), Deferred[bytes])
        client.noop("text")  # type: ignore[arg-type]
        client.exec_stream(each, "true")  # type: ignore[arg-type]
        client.think_stream("Say hello")  # type: ignore[arg-type]

    def awaiting(client: AsyncClient) -> None:
        noop, listed = client.noop(b"data"), client.list_agents()
        assert_type((noop, listed), tuple[Coroutines[bytes], Coroutines[list[AgentEntry]]])
        assert_type(client.think_stream("Say hello"), AsyncStream[ThinkReply, str])
        assert_type(
            client.exec_stream("true", timeout=1.0), AsyncStream[ExecReply, tuple[str, str]]
        )
        unbound = AsyncClient.noop(client, b"data")
        assert_type([unbound], list[Coroutines[bytes]])
        client.noop("text")  # type: ignore[arg-type,unused-coroutine]
        client.exec_stream(print, "true")  # type: ignore[call-arg,arg-type]

    async def awaited(client: AsyncClient) -> None:
        assert_type(await client.noop(b"data"), bytes)
        async for name, text in client.exec_stream("true"):
            assert_type(name, str)
            assert_type(text, str)

    async def keys(client: CloveClient, other: AsyncClient) -> None:
        answer = client.think("Say hello")
        assert_type(answer["content"], str)
        assert_type(answer["tool_calls"][0]["arguments"], dict[str, Any])
        assert_type((await other.think("Say hello"))["tokens"], int)
        assert_type(client.wait("agent")["exit_code"], int | None)
        assert_type(client.recv_messages()["messages"][0]["from"], int)
        assert_type(client.list_agents()[0]["state"], str)
        assert_type(client.fetch("key")["value"], Any)
        assert_type(client.get_system_metrics()["metrics"]["cpu"]["load_avg"], list[float])
        assert_type(client.hello()["kernel_version"], str)
        assert_type([line["text"] for line in client.follow_logs("agent")], list[str])
        async for event in other.events():
            assert_type(event["type"], str)
        answer["contents"]  # type: ignore[misc]
        answer["tokens"].strip()  # type: ignore[attr-defined]

    def another(client: Recorder) -> None:
        assert_type(client.noop(b"data"), bytes)
        assert_type(client.list_agents(), list[AgentEntry])


class Recorder(Methods):
    """Another client: it has `ask` and `stream`, and all methods by them."""

    def ask(self, call: Call[T]) -> T:
        """Give back what would be asked."""
        return cast("T", call)

    def stream(self, call: StreamCall[T, S]) -> StreamCall[T, S]:
        """Give back what would be asked."""
        return call


@pytest.mark.parametrize("name", sorted(BUILDERS.keys() - {"exit"}))
def test_every_function_is_a_method_of_every_client(name: str) -> None:
    function = BUILDERS[name]
    for client in (CloveClient, DeferredClient, AsyncClient):
        bound = getattr(client, name)
        assert bound is getattr(Methods, name), "a client has a list of its own"
        assert bound.__wrapped__ is function
        assert bound.__doc__ == function.__doc__
        assert inspect.signature(bound) == inspect.signature(function)


def test_the_list_has_nothing_else() -> None:
    assert {name for name in vars(Methods) if not name.startswith("_")} | {"exit"} == set(BUILDERS)


def test_another_client_needs_no_list_of_its_own() -> None:
    client = Recorder()
    asked = cast("Call[bytes]", client.noop(b"data"))
    assert (asked.opcode, asked.payload) == (Opcode.NOOP, b"data")
    streamed: Any = client.exec_stream("true", timeout=1.0)
    assert isinstance(streamed, StreamCall)
    assert isinstance(streamed.payload, dict)
    assert streamed.payload["command"] == "true"
