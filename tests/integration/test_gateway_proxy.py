"""Sandboxed agents behind a company's proxy, under a root and a rootless kernel."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.integration.exposed import ROOT, ROOTLESS, host
from tests.integration.gateway_upstream import upstream
from tests.integration.test_gateway import RESET, SCRIPT, Fixture

FAR = "198.51.100.7"
CONFIG = """
[egress]
proxy = "{url}"
proxy_resolves = true
no_proxy = ["pinned.test", "*.corp.test"]

[egress.hosts]
"far.test" = "{far}"
"pinned.test" = "127.0.0.1"
"""


class Behind(Fixture):
    """A kernel, the servers, and the proxy between them."""

    proxy: ConnectProxy

    def let(self, name: str, port: int) -> str:
        """Have the proxy know a server; the rule for it."""
        self.proxy.hosts[f"{name}:{port}"] = ("127.0.0.1", port)
        return f"{name}:{port}"


@pytest.fixture(scope="module", params=[ROOT, ROOTLESS])
def behind(request: pytest.FixtureRequest) -> Iterator[Behind]:
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(connect_proxy())
        here = stack.enter_context(host(request.param, CONFIG.format(url=proxy.url, far=FAR)))
        servers = stack.enter_context(upstream(here.kernel.directory))
        here.client.register_name("judge")
        shutil.copy(SCRIPT, here.script)
        found = Behind(here, servers, itertools.count())
        found.proxy = proxy
        yield found


@pytest.fixture(autouse=True)
def nothing_left(behind: Behind) -> Iterator[None]:
    yield
    for agent in behind.client.list_agents():
        behind.client.kill(agent["id"])
    behind.proxy.heads.clear()
    behind.servers.plain.seen.clear()
    behind.proxy.hosts.clear()
    behind.proxy.answer = behind.proxy.behind = b""


def test_names_go_to_the_proxy_as_names(behind: Behind) -> None:
    plain, secure, _ = behind.servers.servers
    rules = [behind.let("api.test", port) for port in (plain.port, secure.port)]
    _, found = behind.spawn(
        ["get", "api.test", plain.port],
        ["tls", "api.test", secure.port, "api.test"],
        rules=rules,
    )
    assert found == ["HTTP/1.1 200"] * 2
    assert behind.proxy.asked == [f"CONNECT {rule} HTTP/1.1" for rule in rules]


def test_what_no_rule_admits_never_gets_to_the_proxy(behind: Behind) -> None:
    port = behind.servers.plain.port
    behind.let("evil.test", port)
    agent, found = behind.spawn(
        ["names", "evil.test"], ["get", "10.0.0.1", 80], rules=[behind.let("api.test", port)]
    )
    assert found == ["gaierror -2", RESET]
    assert behind.proxy.heads == []
    assert "10.0.0.1:80 refused (allowed_domains)" in behind.log(agent)


def test_what_a_client_says_is_still_held_against_the_name(behind: Behind) -> None:
    plain, secure, _ = behind.servers.servers
    rules = [behind.let("api.test", port) for port in (plain.port, secure.port)]
    agent, found = behind.spawn(
        ["tls", "api.test", secure.port, "evil.test"],
        ["get", "api.test", plain.port, "evil.test"],
        rules=rules,
    )
    assert not any("200" in str(one) for one in found)
    assert "it names 'evil.test'" in behind.log(agent)
    assert behind.servers.plain.seen == []


def test_an_address_that_a_rule_names_is_asked_for_as_an_address(behind: Behind) -> None:
    port = behind.servers.plain.port
    rules = [behind.let(FAR, port), f"far.test:{port}"]
    _, found = behind.spawn(["get", FAR, port], ["get", "far.test", port], rules=rules)
    assert found == ["HTTP/1.1 200"] * 2
    assert behind.proxy.asked == [f"CONNECT {FAR}:{port} HTTP/1.1"] * 2


def test_a_name_that_the_proxy_alone_may_know_is_said_to_be_that(behind: Behind) -> None:
    """Those of `no_proxy` are looked up here."""
    agent, found = behind.spawn(["names", "here.corp.test"], rules=["here.corp.test"])
    assert found == ["gaierror -2"]
    assert "no address for here.corp.test; check the name" in behind.log(agent)


def test_pinned_loopback_goes_without_the_proxy(behind: Behind) -> None:
    port = behind.servers.plain.port
    rules = [f"pinned.test:{port}", f"127.0.0.1:{port}"]
    _, found = behind.spawn(["get", "pinned.test", port], rules=rules)
    assert found == ["HTTP/1.1 200"]
    assert behind.proxy.heads == []


def test_what_the_proxy_says_is_in_the_agents_log(behind: Behind) -> None:
    port = behind.servers.plain.port
    rules = [f"api.test:{port}"]
    agent, found = behind.spawn(["get", "api.test", port], rules=rules)
    assert found == [RESET]
    assert "the proxy answers CONNECT api.test" in behind.log(agent)
    assert "502 No Such Host" in behind.log(agent)
    behind.proxy.answer = b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n"
    assert behind.ask(agent, ["get", "api.test", port]) == [RESET]
    assert "it wants credentials (it takes Ntlm; Clove has Basic)" in behind.log(agent)
    assert "cntlm" in behind.log(agent)


def test_a_server_that_speaks_first_loses_nothing_behind_the_proxys_answer(
    behind: Behind,
) -> None:
    port = behind.servers.lines.port
    behind.proxy.behind = b"banner\n"
    rules = [behind.let("api.test", port)]
    _, found = behind.spawn(["first_line", "api.test", port], rules=rules)
    assert found == ["banner"]


def test_no_agent_gets_to_the_proxy_itself(behind: Behind) -> None:
    port = behind.proxy.port
    rules: list[Any] = [f"pinned.test:{port}", f"127.0.0.1:{port}"]
    agent, found = behind.spawn(["get", "pinned.test", port], rules=rules)
    assert found == [RESET]
    assert "refused (egress.proxy)" in behind.log(agent)
    assert behind.proxy.heads == []


def test_the_http_syscall_goes_the_same_way(behind: Behind) -> None:
    rule = behind.let("api.test", behind.servers.plain.port)
    reply = behind.client.http(f"http://{rule}/")
    assert (reply["status_code"], reply["body"]) == (200, "hi")
    assert behind.proxy.asked == [f"CONNECT {rule} HTTP/1.1"]
