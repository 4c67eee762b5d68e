"""The way out through a proxy that TLS is spoken with, by real sockets: `http`, and agents in sandboxes."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from tests.connect_proxy import ConnectProxy, connect_proxy
from tests.integration.egress.pages import REACTOR, Pages, Server, allowing, fetch
from tests.integration.egress.test_egress_tls import Authority
from tests.integration.exposed import ROOT, ROOTLESS, host
from tests.integration.gateway_upstream import upstream
from tests.integration.test_gateway import RESET, SCRIPT, Fixture
from tests.scripted_names import ScriptedNames
from tests.tls_identity import make_identity

PUBLIC = "93.184.216.34"
WORDS = bytes(range(256)) * (12 << 10)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ConnectProxy]:
    """It has a certificate for its address in `certificate`."""
    with connect_proxy() as running:
        running.speak_tls(*make_identity(tmp_path, "127.0.0.1"))
        yield running


def way_to(proxy: ConnectProxy, ca_file: Path | str, names: Any = None, **settings: Any) -> WayOut:
    asked = EgressSettings(proxy=proxy.url, ca_file=str(ca_file), **settings)
    return WayOut(REACTOR, asked, names or ScriptedNames([]))


def through(way_out: WayOut, trust: Any = None) -> Egress:
    """A way to fetch through the proxy, with a resolver of the test's own."""
    limits = EgressLimits(connect_timeout=5)
    return Egress(REACTOR, limits, resolver=ScriptedNames([PUBLIC]), trust=trust, way_out=way_out)


async def test_http_goes_through_it(proxy: ConnectProxy, server: Server, tmp_path: Path) -> None:
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    egress = through(way_to(proxy, tmp_path / "certificate"))
    rules = allowing(f"api.test:{server.number}")
    assert (await fetch(rules, server.url("hello", "api.test"), egress)).body == "grüezi"
    assert proxy.asked == [f"CONNECT {PUBLIC}:{server.number} HTTP/1.1"]


async def test_tls_with_the_host_is_within_that_with_the_proxy(
    proxy: ConnectProxy, tmp_path: Path
) -> None:
    authority = Authority()
    server = Server(Pages(), authority.server(x509.DNSName("right.test")))
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    url = server.url("hello", "right.test", "https")
    egress = through(way_to(proxy, tmp_path / "certificate"), authority.trust())
    try:
        found = await fetch(allowing(f"right.test:{server.number}"), url, egress)
        assert found.body == "grüezi"
    finally:
        await server.stop()


async def test_credentials_are_sent_within_it(
    proxy: ConnectProxy, server: Server, tmp_path: Path
) -> None:
    proxy.credentials = "clove:swordfish"
    proxy.hosts[f"{PUBLIC}:{server.number}"] = ("127.0.0.1", server.number)
    secret = tmp_path / "secret"
    secret.write_text("clove:swordfish")
    secret.chmod(0o600)
    rules, url = allowing(f"api.test:{server.number}"), server.url("hello", "api.test")
    way = way_to(proxy, tmp_path / "certificate", proxy_credentials_file=str(secret))
    assert (await fetch(rules, url, through(way))).status_code == 200
    with pytest.raises(Unavailable, match=r"407.*wants credentials"):
        await fetch(rules, url, through(way_to(proxy, tmp_path / "certificate")))


async def test_one_that_is_not_trusted_is_told_nothing(proxy: ConnectProxy, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="certificate is not trusted") as caught:
        await way_to(proxy, "").dial("api.test", [PUBLIC], 443, 5)
    assert "egress.ca_file" in caught.value.hint
    (tmp_path / "other").mkdir()
    _, other = make_identity(tmp_path / "other", "proxy.test")
    assert proxy.tls is not None
    proxy.speak_tls(str(tmp_path / "other" / "key"), other)
    with pytest.raises(Unavailable, match=r"not trusted: .*127\.0\.0\.1"):
        await way_to(proxy, other).dial("api.test", [PUBLIC], 443, 5)
    assert proxy.heads == []


async def test_one_that_says_nothing_is_waited_for_until_it_is_too_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        way = WayOut(REACTOR, EgressSettings(proxy=url), ScriptedNames([]))
        with pytest.raises(Unavailable, match="not there within"):
            await way.dial("api.test", [PUBLIC], 443, 0.05)


async def test_one_that_speaks_no_tls_is_said_to_be_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer_plainly, args=(server,))
        answering.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        way = WayOut(REACTOR, EgressSettings(proxy=url), ScriptedNames([]))
        with pytest.raises(Unavailable, match="no TLS with the proxy") as caught:
            await way.dial("api.test", [PUBLIC], 443, 5)
        assert "http://HOST:PORT" in caught.value.hint
        answering.join()


def answer_plainly(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_certificates_that_cannot_be_read_are_an_error_at_once() -> None:
    settings = EgressSettings(proxy="https://127.0.0.1:1", ca_file="/nowhere.pem")
    with pytest.raises(InvalidRequest, match=r"egress\.ca_file"):
        WayOut(REACTOR, settings)


class _Mirror(socketserver.BaseRequestHandler):
    """Says what it was sent when that has ended."""

    def handle(self) -> None:
        found = b""
        while piece := self.request.recv(65536):
            found += piece
        self.request.sendall(found)


class _Endless(socketserver.BaseRequestHandler):
    """Sends until nobody listens."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.request.sendall(bytes(65536))


@contextlib.contextmanager
def serving(kind: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


async def dialled(proxy: ConnectProxy, tmp_path: Path, port: int) -> socket.socket:
    proxy.hosts[f"{PUBLIC}:{port}"] = ("127.0.0.1", port)
    way = way_to(proxy, tmp_path / "certificate")
    connection = await way.dial("api.test", [PUBLIC], port, 5)
    connection.setblocking(True)
    connection.settimeout(20)
    return connection


def mirrored(connection: socket.socket) -> bytes:
    found = b""
    with connection:
        connection.sendall(WORDS)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            found += piece
    return found


async def test_every_byte_comes_also_behind_an_end(proxy: ConnectProxy, tmp_path: Path) -> None:
    with serving(_Mirror) as port:
        connection = await dialled(proxy, tmp_path, port)
        assert await deferToThread(mirrored, connection) == WORDS


async def test_the_proxy_is_left_when_no_reader_is_there_any_more(
    proxy: ConnectProxy, tmp_path: Path
) -> None:
    with serving(_Endless) as port:  # its end waits for its connections
        connection = await dialled(proxy, tmp_path, port)
        await deferToThread(connection.recv, 1)
        connection.close()
        while carries():
            await deferLater(REACTOR, 0.005)


def carries() -> bool:
    """Whether some connection to a proxy is still there."""
    found = (*REACTOR.getReaders(), *REACTOR.getWriters())
    return any(getattr(one, "logPrefix", str)() == "proxy TLS" for one in found)


@pytest.mark.parametrize("who", [ROOT, ROOTLESS])
def test_agents_in_sandboxes_go_through_it(proxy: ConnectProxy, tmp_path: Path, who: str) -> None:
    with contextlib.ExitStack() as stack:
        authority = stack.enter_context(readable(tmp_path / "certificate"))
        config = (
            f'[egress]\nproxy = "{proxy.url}"\nca_file = "{authority}"\nproxy_resolves = true\n'
        )
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
        assert f"the proxy answers CONNECT other.test:{plain}" in agents.log(agent)
        proxy.behind = b"banner\n"
        assert agents.ask(agent, ["first_line", "api.test", lines]) == ["banner"]


@contextlib.contextmanager
def readable(path: Path) -> Iterator[str]:
    """A copy of a file that every user can read."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="c") as directory:
        Path(directory).chmod(0o755)
        yield shutil.copy(path, directory)
