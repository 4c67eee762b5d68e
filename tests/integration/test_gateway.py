"""The network of really spawned sandboxed agents, under a root and a rootless kernel.

Ways out of it are tried in tests/adversary/test_egress_attacks.py.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clove import CloveClient
from tests.integration.exposed import ROOT, ROOTLESS, Host, host
from tests.integration.gateway_upstream import Upstream, upstream

SCRIPT = str(Path(__file__).with_name("gateway_attempts.py"))
CONFIG = """
[egress.hosts]
"api.test" = "127.0.0.1"
"evil.test" = "127.0.0.1"
"open.test" = "127.0.0.1"
"far.test" = "198.51.100.7"
"""
MANY_THREADS = {"max_pids": 256, "memory": 4 << 30}
RESET = "ConnectionResetError 104"
REFUSED = "ConnectionRefusedError 111"
NO_ROUTE = "OSError 101"
NO_NAME = "gaierror -2"


@dataclass
class Fixture:
    """A kernel, its operator and the servers outside."""

    host: Host
    servers: Upstream
    names: Iterator[int]

    @property
    def client(self) -> CloveClient:
        return self.host.client

    @property
    def rules(self) -> list[str]:
        ports = [server.port for server in self.servers.servers]
        return [f"{host}:{port}" for host in ("api.test", "127.0.0.1") for port in ports]

    def spawn(self, *attempts: list[Any], rules: list[str] | None = None, **options: Any) -> Any:
        """An agent that has the network, and what came of its attempts."""
        permissions = {"allowed_domains": self.rules if rules is None else rules}
        agent = self.client.spawn(
            f"agent{next(self.names)}",
            self.host.script,
            args=[self.servers.ports],
            **{"network": True, "permissions": permissions, **options},
        )
        return agent, self.ask(agent, *attempts)

    def ask(self, agent: Any, *attempts: list[Any]) -> list[Any]:
        if not attempts:
            return []
        self.client.send_message({"attempts": attempts}, to=agent["id"])
        [mail] = self.client.recv_messages(wait=60, max=1)["messages"]
        return list(mail["message"]["answers"])

    def log(self, agent: Any) -> str:
        return "\n".join(line["text"] for line in self.client.logs(agent["id"])["lines"])


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def fixture(request: pytest.FixtureRequest) -> Iterator[Fixture]:
    with host(request.param, CONFIG) as here, upstream(here.kernel.directory) as servers:
        here.client.register_name("judge")
        shutil.copy(SCRIPT, here.script)
        yield Fixture(here, servers, itertools.count())


@pytest.fixture(autouse=True)
def nothing_left(fixture: Fixture) -> Iterator[None]:
    yield
    for agent in fixture.client.list_agents():
        fixture.client.kill(agent["id"])


def test_listed_names_have_addresses_and_others_do_not(fixture: Fixture) -> None:
    _, found = fixture.spawn(
        ["names", "api.test"],
        ["names", "API.TEST."],
        ["names", "evil.test"],
        ["names", "api.test.evil.test"],
        ["names", "sub.api.test"],
        ["query", "api.test", "127.0.0.53"],
        ["query", "api.test", "127.0.0.53", 28],
        ["query", "api.test", "127.0.0.53", 16],
        ["query", "api.test", "127.0.0.53", 1, True],
        ["query", "evil.test", "127.0.0.53", 1, True],
        ["query", "evil.test", "127.0.0.53", 28],
    )
    (address,) = found[0]
    assert address.startswith("198.18.")
    assert found[1] == found[0]
    assert found[2:5] == [NO_NAME] * 3
    assert found[5:] == [[0, 1], [0, 0], [0, 0], [0, 1], [3, 0], [3, 0]]


def test_every_client_reaches_a_listed_name(fixture: Fixture) -> None:
    plain, secure, _ = fixture.servers.servers
    _, found = fixture.spawn(
        ["get", "api.test", plain.port],
        ["tls", "api.test", secure.port, "api.test"],
        ["get", "127.0.0.1", plain.port],
        ["latency", 1],
        ["own_server"],
        ["names", "localhost"],
    )
    assert found[:2] == ["HTTP/1.1 200"] * 2
    assert found[2] == REFUSED  # loopback is the agent's own
    assert len(found[3]) == 1
    assert found[4:] == ["mine", ["127.0.0.1"]]


def test_a_name_opens_private_addresses_only_with_a_rule_that_names_them(fixture: Fixture) -> None:
    port = fixture.servers.plain.port
    agent, found = fixture.spawn(["get", "api.test", port], rules=[f"api.test:{port}"])
    assert found == [RESET]
    assert "address: loopback" in fixture.log(agent)


def test_without_rules_only_public_addresses_are_reached(fixture: Fixture) -> None:
    port = fixture.servers.plain.port
    agent, found = fixture.spawn(
        ["get", "api.test", port],
        ["get", "10.0.0.1", 80],
        ["get", "169.254.169.254", 80],
        ["names", "no-such-name.invalid"],
        rules=[],
    )
    assert found[:3] == [RESET] * 3
    assert found[3] in (NO_NAME, "gaierror -3")
    assert "address: metadata service" in fixture.log(agent)


def test_permissions_of_a_running_agent_hold_for_its_next_connection(fixture: Fixture) -> None:
    port = fixture.servers.plain.port
    agent, found = fixture.spawn(["get", "api.test", port], rules=["open.test"])
    assert found == [NO_NAME]
    fixture.client.set_permissions({"allowed_domains": fixture.rules}, agent_id=agent["id"])
    assert fixture.ask(agent, ["get", "api.test", port]) == ["HTTP/1.1 200"]
    fixture.client.set_permissions({"can_http": False}, agent_id=agent["id"])
    assert fixture.ask(agent, ["get", "api.test", port], ["get", "8.8.8.8", 80]) == [NO_NAME, RESET]


def test_the_network_without_can_http_is_none(fixture: Fixture) -> None:
    permissions = {"allowed_domains": fixture.rules, "can_http": False}
    _, found = fixture.spawn(["names", "api.test"], permissions=permissions)
    assert found == [NO_NAME]


def test_the_network_is_reported_as_isolated(fixture: Fixture) -> None:
    agent, _ = fixture.spawn()
    assert agent["isolation"]["namespaces"]["net"] is True
    assert "network" not in agent["isolation"].get("degraded_reason", "")


def test_without_the_network_there_is_loopback_alone(fixture: Fixture) -> None:
    _, found = fixture.spawn(
        ["names", "api.test"], ["get", "8.8.8.8", 80], ["own_server"], network=False
    )
    assert found[0].startswith("gaierror")
    assert found[1:] == [NO_ROUTE, "mine"]


def test_the_hosts_abstract_sockets_are_out_of_reach(fixture: Fixture) -> None:
    name = f"clove-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0" + name)
        listening.listen()
        _, found = fixture.spawn(["abstract", name])
    assert found == [REFUSED]


def test_bytes_pass_both_ways_at_their_own_pace(fixture: Fixture) -> None:
    size = 24 << 20
    _, found = fixture.spawn(["echo", size], ["forward", size], ["echo", 1 << 16])
    assert found[0] is True
    assert found[1]["received"] == size
    assert found[2] is True


def test_two_hundred_connections_at_once_are_all_answered(fixture: Fixture) -> None:
    """Three times as many as an agent may have: the others wait their turn."""
    _, found = fixture.spawn(["at_once", 200], limits=MANY_THREADS, degrade=["limits"])
    assert found == [200]


def test_idle_connections_give_way_to_new_ones(fixture: Fixture) -> None:
    """A pool that keeps two hundred: each gets an answer, and those behind it take its place."""
    _, found = fixture.spawn(["pool", 200])
    assert found == [200]


def test_where_none_is_idle_one_more_waits_and_the_log_says_so(fixture: Fixture) -> None:
    agent, found = fixture.spawn(["one_more", 64])
    assert found == [["waits", "hello\n"]]
    assert "all 64 connections are in use: more wait until one ends" in fixture.log(agent)


def test_an_agent_that_ends_takes_its_connections_along(fixture: Fixture) -> None:
    def sockets() -> int:
        """The kernel's sockets to the server outside."""
        port = f":{fixture.servers.lines.port:04X} "
        lines = Path(f"/proc/{fixture.host.kernel.pid}/net/tcp").read_text().splitlines()
        return sum(1 for line in lines if port in line[20:36] and line[34:36] == "01")

    before = sockets()
    agent, found = fixture.spawn(["keep", 5])
    assert found == [5]
    assert sockets() == before + 5
    fixture.client.kill(agent["id"])
    fixture.client.wait(agent["id"])
    assert sockets() == before
