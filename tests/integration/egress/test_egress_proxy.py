"""The HTTP syscall through a proxy, by real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.integration.egress.pages import REACTOR, Pages, Server, allowing, fetch
from tests.integration.egress.test_egress_tls import Authority
from tests.scripted_names import ScriptedNames

PUBLIC = "93.184.216.34"


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with connect_proxy() as running:
        yield running


def through(proxy: ConnectProxy, *answers: list[str], trust: Any = None, **settings: Any) -> Egress:
    """A way to fetch through the proxy, with a resolver of the test's own."""
    names = ScriptedNames(*(answers or ([],)))
    way_out = WayOut(REACTOR, EgressSettings(proxy=proxy.url, **settings), names)
    limits = EgressLimits(connect_timeout=5)
    return Egress(REACTOR, limits, resolver=names, trust=trust, way_out=way_out)


async def test_the_proxy_gets_the_address_that_was_judged(
    proxy: ConnectProxy, server: Server
) -> None:
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    rules = allowing(f"api.test:{server.number}")
    reply = await fetch(rules, server.url("hello", "api.test"), through(proxy, [PUBLIC]))
    assert reply.body == "grüezi"
    assert proxy.asked == [f"CONNECT {PUBLIC}:{server.number} HTTP/1.1"]
    assert "Proxy-Authorization" not in proxy.heads[0]


async def test_the_next_address_is_tried(proxy: ConnectProxy, server: Server) -> None:
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    rules = allowing(f"api.test:{server.number}")
    egress = through(proxy, ["8.8.8.8", PUBLIC])
    assert (await fetch(rules, server.url("hello", "api.test"), egress)).status_code == 200
    assert len(proxy.asked) == 2


async def test_an_address_that_policy_refuses_is_not_asked_for(
    proxy: ConnectProxy, server: Server
) -> None:
    rules = allowing(f"api.test:{server.number}")
    with pytest.raises(PermissionDenied, match=r"10\.0\.0\.1"):
        await fetch(rules, server.url("hello", "api.test"), through(proxy, ["10.0.0.1"]))
    assert proxy.heads == []


async def test_a_name_is_left_to_the_proxy_only_if_that_is_configured(
    proxy: ConnectProxy, server: Server
) -> None:
    proxy.hosts[f"api.test:{server.number}"] = ("127.0.0.1", server.number)
    rules = allowing(f"api.test:{server.number}")
    url = server.url("hello", "api.test")
    with pytest.raises(Unavailable, match="no address") as caught:
        await fetch(rules, url, through(proxy))
    assert "egress.proxy_resolves" in caught.value.hint
    assert (await fetch(rules, url, through(proxy, proxy_resolves=True))).body == "grüezi"
    with pytest.raises(PermissionDenied):
        await fetch(allowing("b.test"), url, through(proxy, proxy_resolves=True))
    assert proxy.asked == [f"CONNECT api.test:{server.number} HTTP/1.1"]


async def test_tls_goes_to_the_host_and_not_to_the_proxy(proxy: ConnectProxy) -> None:
    authority = Authority()
    server = Server(Pages(), authority.server(x509.DNSName("right.test")))
    proxy.hosts[f"right.test:{server.number}"] = ("127.0.0.1", server.number)
    rules = allowing(f"right.test:{server.number}")
    url = server.url("hello", "right.test", "https")
    try:
        egress = through(proxy, proxy_resolves=True, trust=authority.trust())
        assert (await fetch(rules, url, egress)).body == "grüezi"
        with pytest.raises(Unavailable, match=r"TLS with right\.test"):
            await fetch(rules, url, through(proxy, proxy_resolves=True))
    finally:
        await server.stop()


async def test_credentials_are_sent_and_their_lack_has_words(
    proxy: ConnectProxy, server: Server, tmp_path: Path
) -> None:
    proxy.credentials = "clove:swordfish"
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    rules = allowing(f"api.test:{server.number}")
    url = server.url("hello", "api.test")
    path = tmp_path / "credentials"
    path.write_text("clove:swordfish\n")
    path.chmod(0o600)
    good = through(proxy, [PUBLIC], proxy_credentials_file=str(path))
    assert (await fetch(rules, url, good)).body == "grüezi"
    with pytest.raises(Unavailable, match=r"407.*wants credentials") as caught:
        await fetch(rules, url, through(proxy, [PUBLIC]))
    assert "Basic, Negotiate" in caught.value.message
    assert "proxy_credentials_file" in caught.value.hint
    path.write_text("clove:wrong\n")
    with pytest.raises(Unavailable, match="does not take these credentials") as caught:
        await fetch(rules, url, through(proxy, [PUBLIC], proxy_credentials_file=str(path)))
    assert "wrong" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "words", "hint"),
    [
        (b"HTTP/1.1 403 Not This\x1b[2J Host\r\n\r\n", "403 Not This [2J Host", "port 443"),
        (b"HTTP/1.1 504 Gateway Time-out\r\n\r\n", "504", "may not know"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "302", ""),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "not HTTP/1", "egress.proxy"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000, "a head without end", ""),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection", ""),
    ],
)
async def test_what_the_proxy_says_is_told(
    proxy: ConnectProxy, server: Server, answer: bytes, words: str, hint: str
) -> None:
    proxy.answer = answer
    rules = allowing(f"api.test:{server.number}")
    with pytest.raises(Unavailable) as caught:
        await fetch(rules, server.url("hello", "api.test"), through(proxy, [PUBLIC]))
    assert words in caught.value.message
    assert hint in caught.value.hint


async def test_a_proxy_that_is_not_there_is_told_from_a_host_that_is_not(server: Server) -> None:
    with connect_proxy() as gone:
        egress = through(gone, [PUBLIC])
    rules = allowing(f"api.test:{server.number}")
    with pytest.raises(Unavailable, match=r"the proxy 127\.0\.0\.1:\d+ cannot be reached"):
        await fetch(rules, server.url("hello", "api.test"), egress)


async def test_loopback_and_what_is_listed_does_not_go_through_it(
    proxy: ConnectProxy, server: Server
) -> None:
    rules = allowing(f"127.0.0.1:{server.number}", f"own.test:{server.number}")
    assert (await fetch(rules, server.url("hello"), through(proxy))).status_code == 200
    egress = through(proxy, ["127.0.0.1"])
    assert (await fetch(rules, server.url("hello", "own.test"), egress)).status_code == 200
    assert proxy.heads == []


async def test_no_agent_gets_to_the_proxy_itself(proxy: ConnectProxy) -> None:
    """It would connect the agent to anything."""
    rules = allowing(f"127.0.0.1:{proxy.port}", f"alias.test:{proxy.port}")
    for host in ("127.0.0.1", "alias.test"):
        with pytest.raises(PermissionDenied) as caught:
            await fetch(rules, f"http://{host}:{proxy.port}/", through(proxy, ["127.0.0.1"]))
        assert caught.value.rule == "egress.proxy"
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("answers", "words"), [(["127.0.0.1"], "the kernel's proxy"), ([], "may be the kernel's proxy")]
)
async def test_nor_by_a_name_that_the_proxy_looks_up(
    proxy: ConnectProxy, answers: list[str], words: str
) -> None:
    """The proxy would connect to itself; of a name without an address nobody here knows better."""
    proxy.hosts[f"alias.test:{proxy.port}"] = ("127.0.0.1", proxy.port)
    rules = allowing(f"alias.test:{proxy.port}")
    egress = through(proxy, answers, proxy_resolves=True)
    with pytest.raises(PermissionDenied, match=words) as caught:
        await fetch(rules, f"http://alias.test:{proxy.port}/", egress)
    assert caught.value.rule == "egress.proxy"
    assert proxy.heads == []


async def test_another_host_on_the_proxys_port_is_reached(proxy: ConnectProxy) -> None:
    where = f"other.test:{proxy.port}"
    egress = through(proxy, [PUBLIC], proxy_resolves=True)
    with pytest.raises(Unavailable, match="502"):
        await fetch(allowing(where), f"http://{where}/", egress)
    assert proxy.asked == [f"CONNECT {where} HTTP/1.1"]


async def test_the_proxys_own_name_is_looked_up(proxy: ConnectProxy, server: Server) -> None:
    proxy.hosts[f"api.test:{server.number}"] = ("127.0.0.1", server.number)
    names = ScriptedNames(["127.0.0.1"])
    settings = EgressSettings(proxy=f"http://proxy.test:{proxy.port}", proxy_resolves=True)
    egress = Egress(REACTOR, resolver=names, way_out=WayOut(REACTOR, settings, names))
    rules = allowing(f"api.test:{server.number}")
    for _ in range(2):
        assert (await fetch(rules, server.url("hello", "api.test"), egress)).status_code == 200
    assert names.asked == ["proxy.test"]
