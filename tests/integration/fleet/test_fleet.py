"""A relay, kernels with tunnels and remote callers, as users have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from clove import CloveClient
from clove.client.remote import RemoteClient
from clove.client.remote_aio import RemoteAsyncClient
from clove.client.remote_deferred import RemoteDeferredClient
from clove.errors import CloveError, NotFound, PermissionDenied, Unavailable
from tests.integration.fleet.fleet_processes import WHO, Fleet, running_fleet
from tests.waiting import until


@pytest.fixture(scope="module", params=WHO)
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """A relay with one machine."""
    with running_fleet(request.param) as fleet:
        fleet.join("one")
        yield fleet


@pytest.fixture
def operator(fleet: Fleet) -> Iterator[CloveClient]:
    """The operator of that machine."""
    with CloveClient(fleet.kernels[0].socket) as client:
        yield client


@pytest.fixture
def remote(fleet: Fleet) -> Iterator[RemoteClient]:
    """A remote caller on it; its agents end with it."""
    with fleet.client("one") as client:
        yield client
        for agent in client.list_agents():
            client.kill(agent["id"])


def test_a_remote_caller_is_answered_by_the_kernel(remote: RemoteClient) -> None:
    assert remote.noop(b"still there?") == b"still there?"
    assert remote.agent_id >= 1 << 31
    assert remote.list_agents() == []


def test_it_spawns_sandboxed_agents_and_manages_them(remote: RemoteClient) -> None:
    agent = remote.spawn("hello", command=["sh", "-c", "echo hello; sleep 100"])
    assert agent["isolation"]["namespaces"]["pid"]
    for line in remote.follow_logs("hello"):
        assert line["text"] == "hello"
        break
    assert remote.inspect("hello")["sandboxed"]
    assert remote.pause("hello")["paused"]
    assert remote.resume("hello")["resumed"]
    assert remote.kill("hello")["killed"]
    assert remote.wait("hello")["reason"] == "killed"


def test_one_token_is_one_owner_and_another_is_a_stranger(
    fleet: Fleet, remote: RemoteClient
) -> None:
    token = fleet.agent_token("one")
    with fleet.client("one", token, name="a") as first, fleet.client("one", token, name="b") as two:
        agent = first.spawn("shared", command=["sleep", "100"])
        assert first.agent_id != two.agent_id
        assert two.inspect(agent["id"])["ancestors"][0] == first.agent_id
        with pytest.raises(PermissionDenied) as denied:
            remote.kill(agent["id"])
        assert denied.value.rule == "ancestry"
        assert [one["command"] for one in remote.list_agents()] == [""]
        two.kill(agent["id"])


REFUSED: dict[str, Any] = {
    "read": lambda client: client.read_file("/etc/hostname"),
    "write": lambda client: client.write_file("/tmp/no", "no"),
    "exec": lambda client: client.exec("true"),
    "list": lambda client: client.list_directory("/"),
    "why": lambda client: client.why("READ", {"path": "/"}),
    "tunnel": lambda client: client.tunnel_disconnect(),
    "status": lambda client: client.tunnel_status(),
    "audit": lambda client: client.get_audit_log(),
    "unsandboxed": lambda client: client.spawn("no", command=["true"], sandboxed=False),
    "degraded": lambda client: client.spawn("no", command=["true"], allow_degraded=True),
    "network": lambda client: client.spawn("no", command=["true"], network=True),
    "mount": lambda client: client.spawn("no", command=["true"], mounts=[{"path": "/etc"}]),
    "script": lambda client: client.spawn("no", "/etc/hostname"),
    "python": lambda client: client.spawn("no", command=["true"], python="/bin/sh"),
    "unrestricted": lambda client: client.set_permissions("unrestricted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_reach_the_host_is_refused(
    remote: RemoteClient, operator: CloveClient, name: str
) -> None:
    with pytest.raises(PermissionDenied) as denied:
        REFUSED[name](remote)
    assert denied.value.rule
    assert denied.value.hint
    assert operator.list_agents() == []
    assert operator.tunnel_status()["connected"]


def test_an_agent_of_a_remote_caller_has_no_more_than_it(fleet: Fleet) -> None:
    token = fleet.agent_token("one", permissions={"can_think": False, "can_store": False})
    with fleet.client("one", token) as client:
        assert not client.get_permissions()["permissions"]["can_think"]
        agent = client.spawn("less", command=["sleep", "100"], permissions="unrestricted")
        held = client.get_permissions(agent_id=agent["id"])["permissions"]
        assert not any(held[flag] for flag in ("can_think", "can_store", "can_http"))
        assert held["level"] == "standard"
        with pytest.raises(PermissionDenied):
            client.store("key", 1)
        client.kill("less")
    with fleet.client("one", fleet.agent_token("one", permissions={"can_spawn": False})) as client:
        with pytest.raises(PermissionDenied) as denied:
            client.spawn("none", command=["true"])
        assert "can_spawn" in denied.value.hint


def test_the_operator_sees_who_is_there(operator: CloveClient, fleet: Fleet) -> None:
    with fleet.client("one", name="seen") as client:
        client.noop()
        status = operator.tunnel_status()
        assert (status["machine_id"], status["problem"]) == ("one", "")
        assert status["remote_agent_count"] >= 1
        [entry] = [each for each in operator.tunnel_remotes()["agents"] if each["name"] == "seen"]
        assert entry["agent_id"] == client.agent_id
        found = operator.get_audit_log(category="SECURITY")["entries"]
        [came] = [one for one in found if one["details"].get("name") == "seen"]
        assert came["event_type"] == "REMOTE_CONNECTED"
        assert came["details"]["token_id"] == entry["token_id"]
    assert operator.tunnel_config()["config"]["permissions"]["level"] == "standard"


def test_every_client_goes_through_a_relay(fleet: Fleet) -> None:
    token = fleet.agent_token("one")

    async def main() -> bytes:
        async with RemoteAsyncClient(fleet.url, "one", token=token) as client:
            found = await asyncio.gather(*(client.noop(b"%d" % one) for one in range(50)))
            return b",".join(found)

    assert asyncio.run(main()) == b",".join(b"%d" % one for one in range(50))


async def test_the_deferred_client_goes_through_a_relay(fleet: Fleet) -> None:
    from twisted.internet import reactor
    from twisted.internet.threads import deferToThread

    token = await deferToThread(fleet.agent_token, "one")
    client = RemoteDeferredClient(reactor, fleet.url, "one", token=token)
    async with client:
        assert await client.noop(b"here") == b"here"


def test_a_token_opens_its_machines_alone(fleet: Fleet) -> None:
    token = fleet.agent_token("another")
    for wrong in (token, token[:-1] + ("a" if token[-1] != "a" else "b"), "no token"):
        with pytest.raises(PermissionDenied) as denied:
            fleet.client("one", wrong).noop()
        assert token[:30] not in str(denied.value)
    with pytest.raises(CloveError):
        fleet.client("none", fleet.admin).noop()


def test_the_registry_knows_the_machine(fleet: Fleet) -> None:
    until(lambda: fleet.ask("GET", "/machines/one")["presence"] == "connected", "it answers pings")
    assert fleet.ask("GET", "/machines/one")["status"] == "connected"
    until(lambda: fleet.ask("GET", "/machines/one")["versions"].get("clove"), "it is written")
    with fleet.client("one", name="shown") as client:
        client.noop()
        agents = fleet.ask("GET", "/agents?machine_id=one")["agents"]
        [shown] = [one for one in agents if one["agent_name"] == "shown"]
        assert shown["agent_id"] >= 1000


def test_a_connection_needs_no_relay_that_is_not_there(operator: CloveClient) -> None:
    with pytest.raises((Unavailable, NotFound)):
        operator.tunnel_connect("ws://127.0.0.1:1")
