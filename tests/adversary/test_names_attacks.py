"""Names as a way out and as a trap: rows 15 and 16, with a resolver that the test owns.

The kernel asks this resolver and no other, so that every question that leaves it is seen, and
answers can change under it.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.adversary.resolving import Names, asking, names
from tests.integration.exposed import ROOT, ROOTLESS, Agent, Host, host
from tests.integration.gateway_upstream import Upstream, upstream

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give a kernel its own resolver"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare"),
]

HTTP = """
from clove import CloveClient
from clove.errors import CloveError
try:
    with CloveClient() as client:
        found = client.http({url!r}, timeout=10)["status_code"]
except CloveError as error:
    found = [error.code, getattr(error, "rule", None)]
"""
CONNECT = """
import socket
try:
    with socket.create_connection(({host!r}, {port}), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n")
        found = connection.recv(12).decode()
except (socket.gaierror, ConnectionError) as error:
    found = type(error).__name__
"""
_numbers = itertools.count()


@dataclass
class Trap:
    """A kernel, its resolver, and a server outside."""

    host: Host
    names: Names
    servers: Upstream

    def agent(self, *rules: str) -> Agent:
        permissions = {"allowed_domains": list(rules), "can_http": True}
        return self.host.spawn(permissions, network=True)

    def http(self, agent: Agent, url: str) -> Any:
        return agent.ask("run", HTTP.format(url=url))

    def connect(self, agent: Agent, name: str, port: int) -> Any:
        return agent.ask("run", CONNECT.format(host=name, port=port))


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def trap(request: pytest.FixtureRequest) -> Iterator[Trap]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        os.chmod(directory, 0o755)
        with (
            names() as server,
            upstream(directory) as servers,
            host(request.param, prefix=asking(directory)) as here,
        ):
            yield Trap(here, server, servers)


@pytest.fixture(autouse=True)
def forgotten(trap: Trap) -> Iterator[None]:
    trap.names.asked.clear()
    trap.names.answers.clear()
    yield
    for agent in trap.host.client.list_agents():
        trap.host.client.kill(agent["id"])


def test_names_that_no_rule_lists_are_not_asked_for(trap: Trap) -> None:
    port = trap.servers.plain.port
    trap.names.answers["listed.test"] = [["127.0.0.1"]]
    agent = trap.agent(f"listed.test:{port}", f"127.0.0.1:{port}")
    for name in ("secret-data.evil.test", "listed.test.evil.test", "x.listed.test", "evil.test."):
        assert trap.connect(agent, name, port) == "gaierror"
        assert trap.http(agent, f"http://{name}:{port}/")[0] == "permission_denied"
    assert trap.names.asked == []
    assert trap.connect(agent, "listed.test", port) == "HTTP/1.1 200"
    assert trap.http(agent, f"http://listed.test:{port}/") == 200
    assert set(trap.names.asked) == {"listed.test"}


def test_nothing_is_asked_for_an_agent_without_the_network(trap: Trap) -> None:
    agent = trap.host.spawn({"allowed_domains": ["listed.test"]})
    assert trap.connect(agent, "listed.test", 80) == "gaierror"
    assert trap.http(agent, "http://listed.test/")[0] == "permission_denied"
    assert trap.names.asked == []


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], ["10.1.2.3"], ["0.0.0.0"]],
)
def test_a_listed_name_that_leads_inside_is_refused(trap: Trap, answer: list[str]) -> None:
    port = trap.servers.plain.port
    trap.servers.plain.seen.clear()
    trap.names.answers["listed.test"] = [answer]
    agent = trap.agent(f"listed.test:{port}")
    assert trap.connect(agent, "listed.test", port) == "ConnectionResetError"
    code, rule = trap.http(agent, f"http://listed.test:{port}/")
    assert (code, rule.split(":")[0]) == ("permission_denied", "address")
    assert trap.servers.plain.seen == []


def test_a_name_is_asked_for_once_and_dialled_as_it_was_judged(trap: Trap) -> None:
    port = trap.servers.plain.port
    trap.names.answers["listed.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    agent = trap.agent(f"listed.test:{port}", f"127.0.0.1:{port}")
    assert trap.http(agent, f"http://listed.test:{port}/") == 200
    assert trap.http(agent, f"http://listed.test:{port}/") == [
        "permission_denied",
        "address: metadata service",
    ]
    assert trap.connect(agent, "listed.test", port) == "ConnectionResetError"


def test_a_redirect_to_the_same_name_is_judged_again(trap: Trap) -> None:
    port = trap.servers.plain.port
    trap.names.answers["listed.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    agent = trap.agent(f"listed.test:{port}", f"127.0.0.1:{port}")
    url = f"http://listed.test:{port}/to/http://listed.test:{port}/"
    assert trap.http(agent, url) == ["permission_denied", "address: metadata service"]
