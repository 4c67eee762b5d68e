"""The Deferred client of the REST API: what the blocking one does, against the same relay."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from clove.client import fleet_requests
from clove.client.fleet import FleetClient
from clove.client.fleet_deferred import DeferredFleetClient
from clove.client.fleet_methods import FleetMethods
from clove.client.remote_deferred import RemoteDeferredClient
from clove.errors import ConnectionLost, InvalidRequest, NotAuthenticated, NotFound
from tests.integration.fleet.cutting_proxy import CuttingProxy
from tests.integration.fleet.fleet_processes import Fleet
from tests.integration.fleet.test_streams import COUNTS, FLOOD, PIECE, flood_digest
from tests.integration.relay.relay_process import relay_process
from tests.tls_identity import make_identity


@pytest.fixture
def client(fleet: Fleet) -> DeferredFleetClient:
    return at(fleet.rest_port, fleet.admin)


def at(port: int, token: str, **more: Any) -> DeferredFleetClient:
    clock: Any = reactor
    return DeferredFleetClient(clock, f"http://127.0.0.1:{port}", token, **more)


async def all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in items]


async def deployed(client: DeferredFleetClient, text: str, **more: Any) -> int:
    made = await client.deploy("one", "work.py", text, attach=True, **more)
    return int(made["agent_id"])


def test_both_clients_have_every_request_and_no_list_of_their_own() -> None:
    public = {name for name in vars(FleetMethods) if not name.startswith("_")}
    assert public == set(fleet_requests.__all__)
    for kind in (FleetClient, DeferredFleetClient):
        methods = {name for name, value in vars(kind).items() if callable(value)}
        own = {name for name in methods if not name.startswith("_")}
        assert own == {"ask", "each"}
        for name in public:
            method: Any = getattr(kind, name)
            assert inspect.getdoc(method) == inspect.getdoc(getattr(fleet_requests, name))


async def test_machines_and_tokens_are_managed(client: DeferredFleetClient, fleet: Fleet) -> None:
    await client.add_machine("other", provider="aws")
    assert (await client.change_machine("other", labels={"a": "b"}))["labels"] == {"a": "b"}
    assert [each["machine_id"] for each in await all_of(client.machines())] == ["one", "other"]
    token = await client.issue_token("agent", target_machine="one")
    theirs = at(fleet.rest_port, token["token"])
    assert [each["machine_id"] for each in await all_of(theirs.machines())] == ["one"]
    await client.revoke_token(token["id"])
    with pytest.raises(NotAuthenticated):
        await theirs.status()
    await client.remove_machine("other")
    with pytest.raises(NotFound):
        await client.machine("other")
    assert "token" in [each["kind"] for each in await all_of(client.denials())]


async def test_lists_are_read_page_by_page(
    client: DeferredFleetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clove.client.fleet_plan.PAGE", 2)
    agents = [await deployed(client, "import time; time.sleep(100)") for _ in range(5)]
    listed = [each["id"] for each in await all_of(client.machine_agents("one"))]
    assert listed == sorted(listed)
    assert set(agents) <= set(listed)
    for agent in agents:
        await client.stop_agent("one", agent)


async def test_remote_agents_are_read_page_by_page(
    client: DeferredFleetClient, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clove.client.fleet_plan.PAGE", 2)
    token = (await client.issue_token("agent", target_machine="one"))["token"]
    clock: Any = reactor
    async with contextlib.AsyncExitStack() as undo:
        for number in range(5):
            caller = RemoteDeferredClient(
                clock, fleet.url, "one", token=token, name=f"caller-{number}"
            )
            await undo.enter_async_context(caller)
        listed = await all_of(client.agents("one"))
        ids = [each["agent_id"] for each in listed]
        assert ids == sorted(ids)
        assert [each["agent_name"] for each in listed] == [f"caller-{n}" for n in range(5)]
        assert await all_of(client.agents("another")) == []


async def test_requests_are_made_side_by_side(client: DeferredFleetClient) -> None:
    found = await gatherResults([client.machine("one") for _ in range(20)])
    assert [each["machine_id"] for each in found] == ["one"] * 20


@pytest.mark.parametrize("method", ["stream", "follow_logs"])
async def test_a_stream_that_is_cut_goes_on(
    client: DeferredFleetClient, fleet: Fleet, method: str
) -> None:
    agent = await deployed(client, COUNTS)
    proxy = CuttingProxy(fleet.rest_port)
    try:
        cut, text, kinds = 0, "", []
        through = getattr(at(proxy.port, fleet.admin), method)("one", agent)
        async for kind, fields in through:
            kinds.append(kind)
            if kind in ("output", "line"):
                text += fields["data"].decode() if kind == "output" else f"{fields['text']}\n"
            if text.count("\n") > 12 * cut + 5 and cut < 2:
                cut += 1
                proxy.cut()
    finally:
        proxy.stop()
    assert (kinds[-1], cut) == ("exit", 2)
    assert text.split() == [str(number) for number in range(40)]


async def test_an_attached_reader_gets_every_byte_at_its_own_pace(
    client: DeferredFleetClient,
) -> None:
    count = 10 << 20 >> 16
    agent = await deployed(client, FLOOD, args=[str(count)])
    whole, size = hashlib.sha256(), 0
    async for kind, fields in client.stream("one", agent, attach=True):
        assert kind in ("status", "output", "exit")
        if kind == "output":
            if not size:  # what is between it and the agent then fills
                await client.logs("one", agent)
            whole.update(fields["data"])
            size += len(fields["data"])
    assert (size, whole.hexdigest()) == (count * PIECE, flood_digest(count))


async def test_a_stream_that_is_left_and_a_call_that_is_cancelled_close_their_connections(
    client: DeferredFleetClient,
) -> None:
    agent = await deployed(client, COUNTS)
    stream: Any = client.stream("one", agent)
    async with contextlib.aclosing(stream):
        async for kind, _ in stream:
            if kind == "output":
                break
    asked: Deferred[Any] = client.status()
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    await client.stop_agent("one", agent)


async def test_a_deploy_on_all_gives_a_result_for_each(client: DeferredFleetClient) -> None:
    results = client.deploy_on_all("work.py", "print(1)", selector={"all": True})
    assert [(each["machine_id"], each["status"]) for each in await all_of(results)] == [
        ("one", "deployed")
    ]


async def test_what_no_relay_answers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost, match="cannot reach"):
        await at(1, "x").status()
    with pytest.raises(InvalidRequest, match="unencrypted"):
        DeferredFleetClient(reactor, "http://192.0.2.1", "x")
    with pytest.raises(InvalidRequest, match="certificates"):
        DeferredFleetClient(
            reactor,
            "https://127.0.0.1",
            "x",
            ca_file=str(tmp_path / "none"),
        )


async def test_tls_is_checked(tmp_path: Path) -> None:
    key, certificate = make_identity(tmp_path)
    os.chmod(key, 0o600)
    config = f'[rest]\nport = 0\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    with relay_process(tmp_path, config) as relay:
        for ca_file in (None, certificate):  # not of an authority; for another name
            clock: Any = reactor
            url = f"https://127.0.0.1:{relay.port}"
            client = DeferredFleetClient(clock, url, relay.admin, ca_file=ca_file)
            with pytest.raises(ConnectionLost, match="no TLS"):
                await client.status()
