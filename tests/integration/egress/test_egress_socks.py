"""The way out through a SOCKS 5 proxy, by real sockets: `http`, and agents in sandboxes."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from tests.integration.egress.pages import REACTOR, Server, allowing, fetch
from tests.integration.exposed import ROOT, ROOTLESS, host
from tests.integration.gateway_upstream import upstream
from tests.integration.test_gateway import RESET, SCRIPT, Fixture
from tests.scripted_names import ScriptedNames
from tests.socks_proxy import SocksProxy, socks_proxy

PUBLIC = "93.184.216.34"
PUBLIC_6 = "2606:2800:220:1::1"


@pytest.fixture
def proxy() -> Iterator[SocksProxy]:
    with socks_proxy() as running:
        yield running


def through(proxy: SocksProxy, *answers: list[str], **settings: Any) -> Egress:
    """A way to fetch through the proxy, with a resolver of the test's own."""
    names = ScriptedNames(*(answers or ([],)))
    way_out = WayOut(REACTOR, EgressSettings(proxy=proxy.url, **settings), names)
    return Egress(REACTOR, EgressLimits(connect_timeout=5), resolver=names, way_out=way_out)


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_6])
async def test_the_proxy_gets_the_address_that_was_judged(
    proxy: SocksProxy, server: Server, address: str
) -> None:
    where = f"{address}:{server.number}"
    proxy.hosts[where] = ("127.0.0.1", server.number)
    if ":" in address:
        rules, url = allowing(f"[{address}]:{server.number}"), f"[{address}]"
    else:
        rules, url = allowing(f"api.test:{server.number}"), "api.test"
    reply = await fetch(rules, server.url("hello", url), through(proxy, [address]))
    assert reply.body == "grüezi"
    assert proxy.asked == [where]


async def test_or_the_name_where_the_proxy_looks_it_up(proxy: SocksProxy, server: Server) -> None:
    proxy.hosts[f"api.test:{server.number}"] = ("127.0.0.1", server.number)
    rules = allowing(f"api.test:{server.number}")
    egress = through(proxy, proxy_resolves=True)
    assert (await fetch(rules, server.url("hello", "api.test"), egress)).status_code == 200
    assert proxy.asked == [f"api.test:{server.number}"]


async def test_credentials_are_sent_if_the_proxy_wants_them(
    proxy: SocksProxy, server: Server, tmp_path: Path
) -> None:
    proxy.credentials = "Aladdin:open sesame"
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    rules, url = allowing(f"api.test:{server.number}"), server.url("hello", "api.test")
    with pytest.raises(Unavailable, match="wants credentials"):
        await fetch(rules, url, through(proxy, [PUBLIC]))
    path = tmp_path / "credentials"
    path.write_text("Aladdin:open\n")
    path.chmod(0o600)
    with pytest.raises(Unavailable, match="does not take these credentials"):
        await fetch(rules, url, through(proxy, [PUBLIC], proxy_credentials_file=str(path)))
    path.write_text("Aladdin:open sesame\n")
    egress = through(proxy, [PUBLIC], proxy_credentials_file=str(path))
    assert (await fetch(rules, url, egress)).status_code == 200
    proxy.credentials = ""
    assert (await fetch(rules, url, egress)).status_code == 200
    path.write_text(f"Aladdin:{'x' * 256}\n")
    with pytest.raises(InvalidRequest, match="1 to 255 bytes"):
        through(proxy, [PUBLIC], proxy_credentials_file=str(path))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"refusal": 2}, "its rules do not allow it"),
        ({"refusal": 4}, "the host cannot be reached"),
        ({"refusal": 99}, "error 99"),
        ({"greeting": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "not SOCKS 5"),
        ({"greeting": b"\5\7"}, "wants credentials"),
        ({"greeting": b"\5"}, "closed the connection"),
    ],
)
async def test_what_the_proxy_says_is_told(
    proxy: SocksProxy, answer: dict[str, Any], words: str
) -> None:
    for name, value in answer.items():
        setattr(proxy, name, value)
    with pytest.raises(Unavailable, match=words):
        await fetch(allowing("api.test:80"), "http://api.test/", through(proxy, [PUBLIC]))


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_agents_in_sandboxes_go_through_it(proxy: SocksProxy, who: str) -> None:
    config = f'[egress]\nproxy = "{proxy.url}"\nproxy_resolves = true\n'
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(host(who, config))
        servers = stack.enter_context(upstream(here.kernel.directory))
        here.client.register_name("judge")
        shutil.copy(SCRIPT, here.script)
        agents = Fixture(here, servers, itertools.count())
        plain, secure, lines = (server.port for server in servers.servers)
        for port in (plain, secure, lines):
            proxy.hosts[f"api.test:{port}"] = ("127.0.0.1", port)
        agent, found = agents.spawn(
            ["get", "api.test", plain],
            ["tls", "api.test", secure, "api.test"],
            ["get", "other.test", plain],
            rules=[f"api.test:{port}" for port in (plain, secure, lines)] + [f"other.test:{plain}"],
        )
        assert found == ["HTTP/1.1 200", "HTTP/1.1 200", RESET]
        assert f"the proxy does not connect to other.test:{plain}" in agents.log(agent)
        proxy.behind = b"banner\n"
        assert agents.ask(agent, ["first_line", "api.test", lines]) == ["banner"]
