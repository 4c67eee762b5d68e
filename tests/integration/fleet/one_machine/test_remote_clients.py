"""The clients through a relay are the local ones: the same methods, several calls at once, streams."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest
from twisted.internet import reactor
from twisted.internet.defer import DeferredQueue
from twisted.internet.interfaces import IReactorTime

from clove.client.methods.table import Methods
from clove.client.relayed import RelayedClient
from clove.client.remote import RemoteClient
from clove.client.remote_aio import RemoteAsyncClient
from clove.client.remote_deferred import RemoteDeferredClient
from clove.errors import NotFound, PermissionDenied
from tests.contracts.clients import AsyncioKind, BlockingKind, DeferredKind, Kind, case
from tests.integration.fleet.fleet_processes import Fleet

REMOTE: dict[type[Any], type[Any]] = {
    each: each.__mro__[2] for each in (RemoteClient, RemoteDeferredClient, RemoteAsyncClient)
}
"""Each, and the local client that it is."""


class _Blocking(BlockingKind):
    """Through a relay."""

    def client(self, path: str | None = None, **options: Any) -> Any:
        return RemoteClient(cast("str", path), "one", **options)


class _Deferred(DeferredKind):
    """Through a relay."""

    def client(self, path: str | None = None, **options: Any) -> Any:
        clock = cast(IReactorTime, reactor)
        client: Any = RemoteDeferredClient(clock, cast("str", path), "one", **options)
        client.events = DeferredQueue()
        client.on_event = client.events.put
        return client


class _Asyncio(AsyncioKind):
    """Through a relay."""

    def client(self, path: str | None = None, **options: Any) -> Any:
        return RemoteAsyncClient(cast("str", path), "one", **options)


@pytest.fixture(params=[_Blocking, _Deferred, _Asyncio], ids=["blocking", "deferred", "asyncio"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return cast("Kind", request.param())


class Peer:
    """Where a client connects, and what it shows."""

    def __init__(self, fleet: Fleet) -> None:
        self.path = fleet.url
        self.token = fleet.agent_token("one")


@pytest.fixture
def peer(fleet: Fleet) -> Peer:
    return Peer(fleet)


def public(kind: type[Any]) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("remote", REMOTE, ids=lambda remote: str(remote.__name__))
def test_has_the_methods_of_the_local_client_and_one_constructor(remote: type[Any]) -> None:
    local = REMOTE[remote]
    assert public(remote) == public(local) >= public(Methods)
    for name in public(local):
        assert inspect.getattr_static(remote, name) is inspect.getattr_static(local, name)
    assert issubclass(remote, RelayedClient)
    given = inspect.signature(RelayedClient.__init__).parameters
    taken = inspect.signature(remote.__init__).parameters
    assert list(taken)[-1] in (*given, "options")


@case
async def test_calls_are_answered_side_by_side(kind: Kind, peer: Any) -> None:
    async with kind.connected(peer.path, token=peer.token) as client:
        calls = [("noop", b"%d" % number) for number in range(50)]
        assert await kind.ask_all(client, *calls) == [data for _, data in calls]
        assert client.protocol_version == 2
        assert client.agent_id >= 1 << 31


@case
async def test_a_call_that_waits_holds_up_no_other(kind: Kind, peer: Any) -> None:
    async with kind.connected(peer.path, token=peer.token) as client:
        made = await kind.ask(client, "spawn", "waits", command=["sleep", "1000"])
        agent = made["agent_id"]
        waited, answered, killed = await kind.ask_all(
            client, ("wait", agent), ("noop", b"meanwhile"), ("kill", agent)
        )
        assert answered == b"meanwhile"
        assert not isinstance(waited, Exception), waited
        assert not isinstance(killed, Exception), killed


@case
async def test_a_stream_gives_its_pieces(kind: Kind, peer: Any) -> None:
    async with kind.connected(peer.path, token=peer.token) as client:
        script = "for number in 1 2 3; do echo $number; sleep 0.1; done"
        made = await kind.ask(client, "spawn", "counts", command=["sh", "-c", script])
        pieces, _ = await kind.stream(client, "follow_logs", made["agent_id"])
        assert [line["text"] for line in pieces] == ["1", "2", "3"]


@case
async def test_events_are_pushed(kind: Kind, peer: Any) -> None:
    async with kind.connected(peer.path, token=peer.token) as client:
        await kind.ask(client, "subscribe", "CUSTOM", push=True)
        for number in range(3):
            await kind.ask(client, "emit_event", "CUSTOM", {"n": number})
        events = [await kind.next_event(client) for _ in range(3)]
        assert [event["data"]["n"] for event in events] == [0, 1, 2]


@case
async def test_errors_are_typed(kind: Kind, peer: Any) -> None:
    async with kind.connected(peer.path, token=peer.token) as client:
        with pytest.raises(NotFound):
            await kind.ask(client, "kill", 999_999)
        with pytest.raises(PermissionDenied) as denied:
            await kind.ask(client, "read_file", "/etc/passwd")
        assert denied.value.rule
    with pytest.raises(PermissionDenied):
        await kind.ask(kind.client(peer.path, token=f"{peer.token[:-1]}!"), "connect")
