"""The model service behind a company's proxy that reads TLS: the real service and google-genai."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from twisted.internet import reactor as global_reactor
from twisted.web.server import Site

from clove.errors import Unavailable
from clove.kernel.llm import LLM, LLMSettings
from clove.kernel.llm.settings import Route, service_options
from clove.kernel.network.settings import EgressSettings
from clove.kernel.wiring.network import model_route
from clove.llm.forwarder import Forwarder
from clove.llm.options import DEFAULT_HOST, Options, arguments, proxy_url
from clove.testing import fake_gemini
from clove.testing.fake_gemini import FakeGemini
from clove.testing.gemini_script import Behaviour
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.integration.egress.test_egress_tls import Authority
from tests.integration.gemini_house import ENVIRON, KEY, House
from tests.socks_proxy import SocksProxy, socks_proxy
from tests.tls_identity import make_identity

reactor: Any = global_reactor
AnyProxy = ConnectProxy | SocksProxy


class SecureGemini(FakeGemini):
    """The fake behind TLS."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(reactor, KEY)
        self._context = authority.server(x509.DNSName("gemini.test"))

    def start(self, port: int = 0) -> str:
        site = Site(fake_gemini._Root(self))
        self._port = reactor.listenSSL(port, site, self._context, interface="127.0.0.1")
        return f"https://gemini.test:{self._port.getHost().port}"


@pytest.fixture(params=["http", "https", "socks5"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyProxy]:
    made: Any = socks_proxy() if request.param == "socks5" else connect_proxy()
    with made as running:
        running.credentials = "clove:p@ss/word"
        if request.param == "https":
            running.speak_tls(*make_identity(tmp_path, "127.0.0.1"))
        yield running


@asynccontextmanager
async def behind(
    proxy: AnyProxy, directory: Path, *, trusted: bool = True, password: str = "p@ss/word"
) -> AsyncIterator[House]:
    authority = Authority()
    fake = SecureGemini(authority)
    url = fake.start()
    proxy.hosts[url.removeprefix("https://")] = ("127.0.0.1", int(url.rpartition(":")[2]))
    bundle, secret = directory / "ca.pem", directory / "secret"
    own = directory / "certificate"  # the proxy's
    bundle.write_bytes(
        (authority.certificate.public_bytes(serialization.Encoding.PEM) if trusted else b"")
        + (own.read_bytes() if own.exists() else b"")
    )
    secret.write_text(f"clove:{password}\n")
    secret.chmod(0o600)
    egress = EgressSettings(
        proxy=proxy.url,
        proxy_credentials_file=str(secret),
        ca_file=str(bundle) if bundle.stat().st_size else "",
    )
    settings = LLMSettings(base_url=url, retry_delay=0.01, attempts=2)
    environ = {**ENVIRON, "HTTPS_PROXY": "http://127.0.0.1:9", "SSL_CERT_FILE": "/dev/null"}
    llm = LLM(reactor, settings, environ, route_to=lambda host: model_route(egress, host))
    llm.start()
    try:
        yield House(fake, llm)
    finally:
        await llm.stop()
        await fake.stop()


async def test_a_question_goes_through_the_proxy_and_trusts_the_file(
    proxy: AnyProxy, tmp_path: Path
) -> None:
    async with behind(proxy, tmp_path) as one:
        one.fake.script.append(Behaviour(text="General Kenobi"))
        assert (await one.think()).content == "General Kenobi"
        (where,) = proxy.hosts
        words = where if isinstance(proxy, SocksProxy) else f"CONNECT {where} HTTP/1.1"
        assert set(proxy.asked) == {words}


async def test_a_wrong_password_has_words_and_is_in_none(proxy: AnyProxy, tmp_path: Path) -> None:
    async with behind(proxy, tmp_path, password="wr0ng") as one:
        error = await one.error()
        assert isinstance(error, Unavailable)
        assert "the proxy does not connect to the provider" in error.message
        refusal = "credentials" if isinstance(proxy, SocksProxy) else "407"
        assert refusal in error.message
        assert "egress.proxy" in error.hint
        assert "wr0ng" not in error.message + error.hint


async def test_a_certificate_that_is_not_trusted_is_said_to_be_that(
    proxy: AnyProxy, tmp_path: Path
) -> None:
    async with behind(proxy, tmp_path, trusted=False) as one:
        error = await one.error()
        assert "certificate is not trusted" in error.message
        assert "egress.ca_file" in error.hint


def test_the_command_line_has_the_proxy_and_not_its_password(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("clove:p@ss/word")
    secret.chmod(0o600)
    options = Options(proxy="http://proxy.test:3128", proxy_credentials_file=str(secret))
    assert "p@ss" not in " ".join(arguments(options))
    assert proxy_url(options) == "http://clove:p%40ss%2Fword@proxy.test:3128"
    assert proxy_url(Options(proxy="http://proxy.test:3128")) == "http://proxy.test:3128"
    assert proxy_url(Options()) is None


def test_which_hosts_of_a_provider_go_through_the_proxy() -> None:
    egress = EgressSettings(proxy="http://proxy.test:3128", no_proxy=("*.corp.test",))

    def proxy_of(base_url: str) -> str:
        settings = LLMSettings(base_url=base_url, provider="gemini")
        route_to = lambda host: model_route(egress, host)  # noqa: E731
        return service_options(settings, {"GEMINI_API_KEY": "k"}, route_to).proxy

    assert proxy_of("") == egress.proxy
    assert proxy_of("https://gemini.corp.test/") == ""
    assert proxy_of("http://127.0.0.1:8080") == ""
    assert model_route(EgressSettings(), DEFAULT_HOST) == Route()


def test_what_leads_to_other_proxies_serves_one_client_and_one_host() -> None:
    async def said(forwarder: Forwarder, *lines: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(forwarder.url).port)
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await reader.readline()
        writer.close()
        return answer.decode().strip()

    async def tried() -> list[str]:
        with socks_proxy() as proxy:
            forwarder = Forwarder(proxy.url, None, "", "gemini.test", 443, most=1)
            url = urlsplit(forwarder.url)
            login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
            known = f"Proxy-Authorization: Basic {login}"
            await forwarder.start()
            try:
                found = [
                    await said(forwarder, "CONNECT gemini.test:443 HTTP/1.1"),
                    await said(forwarder, "CONNECT gemini.test:443 HTTP/1.1", f"{known}x"),
                    await said(forwarder, "CONNECT other.test:443 HTTP/1.1", known),
                    await said(forwarder, "GET http://gemini.test:443/ HTTP/1.1", known),
                    await said(forwarder, "CONNECT gemini.test:443 HTTP/1.1", known),
                ]
            finally:
                await forwarder.close()
            assert proxy.asked == ["gemini.test:443"]
            return found

    refused = ["HTTP/1.1 407 Not for others"] * 2 + ["HTTP/1.1 403 The provider alone"] * 2
    words = "HTTP/1.1 502 the proxy does not connect to gemini.test:443: the host cannot be reached"
    *first, last = asyncio.run(tried())
    assert first == refused
    assert last.startswith(words)


def test_a_provider_without_tls_is_reached_by_plain_proxies_alone() -> None:
    from clove.llm.gemini import Gemini  # half a second for each process that collects tests

    options = Options(proxy="socks5://127.0.0.1:1", base_url="http://gemini.test", key="k")
    with pytest.raises(ValueError, match="TLS to the provider alone"):
        Gemini(options, "k")
