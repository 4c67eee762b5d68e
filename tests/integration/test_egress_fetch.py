"""The HTTP syscall against real servers on loopback: redirects, limits, time-outs, TLS."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IHostnameResolver, IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher
from twisted.protocols.policies import WrappingFactory
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from clove.errors import InvalidRequest, LimitExceeded, PermissionDenied, TimedOut, Unavailable
from clove.kernel.calls.http import http
from clove.kernel.context import Context
from clove.kernel.egress import Egress, EgressLimits
from clove.kernel.principal import Kind, Principal
from clove.messages.http import HttpReply, HttpRequest
from clove.policy import Level, Permissions, for_level

EVERYTHING = for_level(Level.UNRESTRICTED)
REACTOR: Any = reactor


def allowing(*rules: str) -> Permissions:
    return msgspec.structs.replace(EVERYTHING, allowed_domains=rules)


class Pages(Resource):
    """A server with a page for each thing that is tested. Keeps the requests it saw."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.waiting: list[Request] = []
        self.locations: dict[str, tuple[int, str]] = {}
        self.arrived: Deferred[None] = Deferred()

    def render(self, request: Request) -> Any:
        path = request.path.decode()
        headers = {
            name.decode().lower(): values[-1].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.seen.append((request.method.decode(), path, headers, _content(request)))
        if path in self.locations:
            code, where = self.locations[path]
            request.setResponseCode(code)
            request.setHeader("location", where)
            return b"moved"
        return getattr(self, "page_" + path.strip("/"), self.page_missing)(request)

    def page_missing(self, request: Request) -> bytes:
        request.setResponseCode(404)
        return b"nothing here"

    def page_hello(self, request: Request) -> bytes:
        request.setHeader("x-one", "1")
        request.responseHeaders.addRawHeader("x-two", "a")
        request.responseHeaders.addRawHeader("x-two", "b")
        return "grüezi".encode()

    def page_binary(self, request: Request) -> bytes:
        return b"\xff\xfe\x00"

    def page_huge(self, request: Request) -> bytes:
        return b"x" * 300_000

    def page_gzip(self, request: Request) -> bytes:
        request.setHeader("content-encoding", "gzip")
        return gzip.compress(b"squeezed")

    def page_bomb(self, request: Request) -> bytes:
        request.setHeader("content-encoding", "gzip")
        return gzip.compress(bytes(20_000_000))

    def page_brotli(self, request: Request) -> bytes:
        request.setHeader("content-encoding", "br")
        return b"?"

    def page_headers(self, request: Request) -> bytes:
        for number in range(200):
            request.setHeader(f"x-{number}", "y" * 1000)
        return b""

    def page_silent(self, request: Request) -> int:
        self.waiting.append(request)
        self.arrived.callback(None)
        return NOT_DONE_YET

    def page_slow(self, request: Request) -> int:
        request.setHeader("content-length", "100")
        request.write(b"beginning")
        self.waiting.append(request)
        self.arrived.callback(None)
        return NOT_DONE_YET


def _content(request: Request) -> bytes:
    assert request.content is not None
    data: bytes = request.content.read()
    return data


class Server:
    """A site on loopback that is stopped completely."""

    def __init__(self, pages: Pages, context: Any = None) -> None:
        self.pages = pages
        site: Any = WrappingFactory(Site(pages))
        self.open = site.protocols
        if context is None:
            self.port = REACTOR.listenTCP(0, site, interface="127.0.0.1")
        else:
            self.port = REACTOR.listenSSL(0, site, context, interface="127.0.0.1")
        self.number: int = self.port.getHost().port

    def url(self, path: str, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.number}/{path}"

    async def stop(self) -> None:
        await self.port.stopListening()
        for connection in list(self.open):
            connection.transport.abortConnection()
        for _ in range(3):
            await turn()


async def turn() -> None:
    """Let the reactor go round once, so that closed sockets are noticed."""
    later: Deferred[None] = Deferred()
    REACTOR.callLater(0, later.callback, None)
    await later


@implementer(IHostnameResolver)
class Answers:
    """A resolver that gives prepared answers in turn, and counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        self.asked.append(hostName)
        for address in self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]:
            resolutionReceiver.addressResolved(IPv4Address("TCP", address, portNumber))
        resolutionReceiver.resolutionComplete()
        return None


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def server() -> AsyncIterator[Server]:
    running = Server(Pages())
    yield running
    await running.stop()


@pytest.fixture
def local(server: Server) -> Permissions:
    return allowing(f"127.0.0.1:{server.number}")


async def fetch(
    permissions: Permissions, url: str, egress: Egress | None = None, **fields: Any
) -> HttpReply:
    egress = egress or Egress(REACTOR)
    reply = await egress.fetch(permissions, HttpRequest(url=url, **fields))
    await turn()
    return reply


async def test_a_page_arrives_whole(server: Server, local: Permissions) -> None:
    reply = await fetch(local, server.url("hello?q=1"), headers={"X-Mine": "yes"})
    assert (reply.success, reply.status_code, reply.body) == (True, 200, "grüezi")
    assert reply.encoding == "utf-8"
    assert not reply.truncated
    assert reply.headers["x-two"] == "a, b"
    assert reply.url == server.url("hello?q=1")
    method, _, headers, _ = server.pages.seen[0]
    assert method == "GET"
    assert headers["x-mine"] == "yes"
    assert headers["host"] == f"127.0.0.1:{server.number}"


async def test_a_request_leaves_no_line_in_the_log(server: Server, local: Permissions) -> None:
    lines: list[Any] = []
    observer: Any = lines.append
    globalLogPublisher.addObserver(observer)
    try:
        await fetch(local, server.url("hello"))
    finally:
        globalLogPublisher.removeObserver(observer)
    assert [line for line in lines if "actory" in str(line)] == []


async def test_a_body_is_sent(server: Server, local: Permissions) -> None:
    await fetch(local, server.url("hello"), method="post", body="käse")
    method, _, headers, body = server.pages.seen[0]
    assert (method, body) == ("POST", "käse".encode())
    assert headers["content-length"] == "5"


async def test_an_error_status_is_a_reply_without_success(
    server: Server, local: Permissions
) -> None:
    reply = await fetch(local, server.url("nowhere"))
    assert (reply.success, reply.status_code, reply.body) == (False, 404, "nothing here")


async def test_a_head_request_has_no_body(server: Server, local: Permissions) -> None:
    reply = await fetch(local, server.url("hello"), method="HEAD")
    assert (reply.status_code, reply.body) == (200, "")


async def test_what_is_no_text_comes_as_base64(server: Server, local: Permissions) -> None:
    reply = await fetch(local, server.url("binary"))
    assert (reply.body, reply.encoding) == ("//4A", "base64")


async def test_bodies_are_cut_at_the_limit(server: Server, local: Permissions) -> None:
    egress = Egress(REACTOR, EgressLimits(max_body=1000))
    for page in ("huge", "bomb"):
        reply = await fetch(local, server.url(page), egress)
        assert reply.truncated
        assert len(reply.body) == 1000


async def test_gzip_is_undone_and_other_encodings_refused(
    server: Server, local: Permissions
) -> None:
    assert (await fetch(local, server.url("gzip"))).body == "squeezed"
    with pytest.raises(Unavailable, match="encoding"):
        await fetch(local, server.url("brotli"))


async def test_too_many_headers_are_refused(server: Server, local: Permissions) -> None:
    with pytest.raises(LimitExceeded, match="headers"):
        await fetch(local, server.url("headers"))


@pytest.mark.parametrize("page", ["silent", "slow"])
async def test_the_time_out_covers_headers_and_body(
    server: Server, local: Permissions, page: str
) -> None:
    with pytest.raises(TimedOut):
        await fetch(local, server.url(page), timeout=0.05)
    await server.pages.waiting[0].notifyFinish().addErrback(lambda _: None)


async def test_cancelling_ends_the_connection(server: Server, local: Permissions) -> None:
    fetching = Egress(REACTOR).fetch(local, HttpRequest(url=server.url("slow")))
    await server.pages.arrived
    gone = server.pages.waiting[0].notifyFinish().addErrback(lambda _: None)
    fetching.cancel()
    with pytest.raises(CancelledError):
        await fetching
    await gone


async def test_redirects_are_followed(server: Server, local: Permissions) -> None:
    server.pages.locations = {"/a": (302, "/b"), "/b": (307, server.url("hello"))}
    reply = await fetch(local, server.url("a"), method="POST", body="x")
    assert reply.body == "grüezi"
    assert reply.url == server.url("hello")
    assert [(one[0], one[1]) for one in server.pages.seen] == [
        ("POST", "/a"),
        ("GET", "/b"),
        ("GET", "/hello"),
    ]


async def test_redirects_end_at_the_limit(server: Server, local: Permissions) -> None:
    server.pages.locations = {"/a": (302, "/a")}
    with pytest.raises(LimitExceeded, match="10 redirects"):
        await fetch(local, server.url("a"))
    assert len(server.pages.seen) == 11


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:7f00:1]/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://127.0.0.1:1/",
        "http://127.0.0.2/",
        "//169.254.169.254/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
async def test_redirects_to_what_is_not_allowed_are_refused(server: Server, location: str) -> None:
    permissions = allowing(f"127.0.0.1:{server.number}", "0.0.0.0/0", "::/0", "*")
    server.pages.locations = {"/a": (302, location)}
    with pytest.raises(PermissionDenied):
        await fetch(permissions, server.url("a"))


@pytest.mark.parametrize(
    "location",
    ["http://0x7f000001/", "http://2130706433/", "http://127.1/", "http://u:p@a.com/", "http://[x"],
)
async def test_redirects_to_odd_spellings_are_errors(
    server: Server, local: Permissions, location: str
) -> None:
    server.pages.locations = {"/a": (302, location)}
    with pytest.raises(InvalidRequest):
        await fetch(local, server.url("a"))


async def test_secrets_do_not_follow_a_redirect_to_another_host(server: Server) -> None:
    permissions = allowing(f"127.0.0.1:{server.number}", f"localhost:{server.number}")
    egress = Egress(REACTOR, resolver=Answers(["127.0.0.1"]))
    server.pages.locations = {
        "/same": (302, "/away"),
        "/away": (302, server.url("hello", "localhost")),
    }
    await fetch(
        permissions, server.url("same"), egress, headers={"Authorization": "s", "X-Plain": "p"}
    )
    first, second, third = (one[2] for one in server.pages.seen)
    assert first["authorization"] == second["authorization"] == "s"
    assert "authorization" not in third
    assert third["x-plain"] == "p"


async def test_loopback_is_refused_without_a_rule_and_on_other_ports(server: Server) -> None:
    for permissions in (
        EVERYTHING,
        allowing("127.0.0.1"),
        allowing(f"127.0.0.1:{server.number + 1}"),
    ):
        with pytest.raises(PermissionDenied):
            await fetch(permissions, server.url("hello"))
    assert server.pages.seen == []


async def test_a_name_that_resolves_to_loopback_is_refused(server: Server) -> None:
    resolver = Answers(["127.0.0.1"])
    egress = Egress(REACTOR, resolver=resolver)
    with pytest.raises(PermissionDenied) as caught:
        await fetch(
            allowing(f"rebind.test:{server.number}"), server.url("hello", "rebind.test"), egress
        )
    assert caught.value.rule == "address: loopback"
    assert resolver.asked == ["rebind.test"]
    assert server.pages.seen == []


async def test_one_private_answer_among_public_ones_refuses_the_name(server: Server) -> None:
    egress = Egress(REACTOR, resolver=Answers(["8.8.8.8", "127.0.0.1"]))
    with pytest.raises(PermissionDenied):
        await fetch(EVERYTHING, server.url("hello", "rebind.test"), egress)


async def test_the_address_that_was_checked_is_the_one_dialled(server: Server) -> None:
    resolver = Answers(["127.0.0.1"], ["127.0.0.2"])
    egress = Egress(REACTOR, resolver=resolver)
    rules = allowing(f"rebind.test:{server.number}", f"127.0.0.1:{server.number}")
    reply = await fetch(rules, server.url("hello", "rebind.test"), egress)
    assert reply.status_code == 200
    assert resolver.asked == ["rebind.test"]  # asked once: no second answer to be fooled by
    assert server.pages.seen[0][2]["host"] == f"rebind.test:{server.number}"


async def test_a_rebinding_answer_at_a_redirect_is_checked_again(server: Server) -> None:
    resolver = Answers(["127.0.0.1"], ["169.254.169.254"])
    egress = Egress(REACTOR, resolver=resolver)
    rules = allowing(f"rebind.test:{server.number}", f"127.0.0.1:{server.number}")
    server.pages.locations = {"/a": (302, "/hello")}
    with pytest.raises(PermissionDenied) as caught:
        await fetch(rules, server.url("a", "rebind.test"), egress)
    assert caught.value.rule == "address: metadata service"


async def test_an_unlisted_name_is_never_looked_up() -> None:
    resolver = Answers(["8.8.8.8"])
    egress = Egress(REACTOR, resolver=resolver)
    for url in ("http://secret-data.evil.test/", "http://a.listed.test.evil.test/", "file:///x"):
        with pytest.raises(PermissionDenied):
            await fetch(allowing("*.listed.test"), url, egress)
    assert resolver.asked == []


async def test_the_next_address_is_tried(server: Server) -> None:
    egress = Egress(REACTOR, resolver=Answers(["127.0.0.9", "127.0.0.1"]))
    rules = allowing(f"a.test:{server.number}", f"127.0.0.0/28:{server.number}")
    assert (await fetch(rules, server.url("hello", "a.test"), egress)).status_code == 200


async def test_a_name_without_addresses_and_a_closed_port_are_unavailable(server: Server) -> None:
    with pytest.raises(Unavailable, match="no address"):
        await fetch(EVERYTHING, "http://a.test/", Egress(REACTOR, resolver=Answers([])))
    free = REACTOR.listenTCP(0, Factory(), interface="127.0.0.1")
    number = free.getHost().port
    await free.stopListening()
    with pytest.raises(Unavailable, match="cannot reach"):
        await fetch(allowing(f"127.0.0.1:{number}"), f"http://127.0.0.1:{number}/")


async def test_localhost_by_the_systems_own_resolver(server: Server) -> None:
    reply = await fetch(allowing(f"localhost:{server.number}"), server.url("hello", "localhost"))
    assert reply.status_code == 200
    with pytest.raises(PermissionDenied):
        await fetch(EVERYTHING, server.url("hello", "localhost"))


async def test_an_ipv6_address_is_dialled_and_named_in_brackets() -> None:
    pages = Pages()
    site: Any = WrappingFactory(Site(pages))
    try:
        port: Any = REACTOR.listenTCP(0, site, interface="::1")
    except CannotListenError:
        pytest.skip("this host has no IPv6")
    number = port.getHost().port
    try:
        reply = await fetch(allowing(f"[::1]:{number}"), f"http://[0:0::1]:{number}/hello")
        assert reply.url == f"http://[::1]:{number}/hello"
        assert pages.seen[0][2]["host"] == f"[::1]:{number}"
        with pytest.raises(PermissionDenied):
            await fetch(allowing(f"127.0.0.1:{number}"), f"http://[::1]:{number}/hello")
    finally:
        await port.stopListening()
        for connection in list(site.protocols):
            connection.transport.abortConnection()
        await turn()


async def test_the_syscall_uses_the_callers_permissions(server: Server, local: Permissions) -> None:
    kernel: Any = SimpleNamespace(egress=Egress(REACTOR))
    caller = Principal(7, Kind.AGENT, local)
    assert (await http(Context(kernel, caller), HttpRequest(url=server.url("hello")))).success
    caller.permissions = EVERYTHING
    with pytest.raises(PermissionDenied):
        await http(Context(kernel, caller), HttpRequest(url=server.url("hello")))
    await turn()


async def test_proxy_variables_change_nothing(
    server: Server, local: Permissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await fetch(local, server.url("hello"))).status_code == 200


async def test_requests_at_once_are_limited(server: Server, local: Permissions) -> None:
    egress = Egress(REACTOR, EgressLimits(max_concurrent=2, max_per_agent=1))
    request = HttpRequest(url=server.url("silent"))
    running = egress.fetch(local, request, 1)
    with pytest.raises(LimitExceeded):
        await egress.fetch(local, request, 1)
    await server.pages.arrived
    other = egress.fetch(local, HttpRequest(url=server.url("hello")), 2)
    with pytest.raises(LimitExceeded):
        await egress.fetch(local, request, 3)
    assert (await other).status_code == 200
    gone = server.pages.waiting[0].notifyFinish().addErrback(lambda _: None)
    running.cancel()
    with pytest.raises(CancelledError):
        await running
    await gone
    assert (await fetch(local, server.url("hello"), egress)).status_code == 200


class _Flood(Protocol):
    """Sends headers without end."""

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, False)  # type: ignore[union-attr]

    def resumeProducing(self) -> None:
        self.transport.write(self.factory.line * 100)  # type: ignore[union-attr]

    def stopProducing(self) -> None:
        self.factory.gone.callback(None)


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 200 OK\r\nX-A: " + b"y" * 500 + b"\r\n", b"z" * 500, b"HTTP/1.1 100 C\r\n\r\n"],
)
async def test_a_server_that_never_ends_its_headers_is_cut_off(line: bytes) -> None:
    factory: Any = Factory.forProtocol(_Flood)
    factory.noisy = False
    factory.line = line
    factory.gone = Deferred()
    port: Any = REACTOR.listenTCP(0, factory, interface="127.0.0.1")
    number = port.getHost().port
    try:
        with pytest.raises((LimitExceeded, Unavailable)):
            await fetch(allowing(f"127.0.0.1:{number}"), f"http://127.0.0.1:{number}/")
        await factory.gone
    finally:
        await port.stopListening()
    await turn()


@implementer(IOpenSSLContextFactory)
class Contexts:
    """Gives a server one context (Twisted's own way makes pyOpenSSL warn)."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def getContext(self) -> SSL.Context:
        return self.context


class Authority:
    """A certificate authority that lives for one test run."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self.key, [], True)

    def _sign(self, name: str, key: Any, names: list[x509.GeneralName], ca: bool) -> Any:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, *names: x509.GeneralName) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("server", key, list(names), False)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(certificate)
        context.use_privatekey(key)
        return Contexts(context)

    def trust(self) -> BrowserLikePolicyForHTTPS:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        root = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(pem)])
        return BrowserLikePolicyForHTTPS(root)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def over_tls(
    authority: Authority, names: list[x509.GeneralName], host: str, trust: bool
) -> HttpReply:
    server = Server(Pages(), authority.server(*names))
    egress = Egress(
        REACTOR, resolver=Answers(["127.0.0.1"]), trust=authority.trust() if trust else None
    )
    rules = allowing(f"127.0.0.1:{server.number}", f"right.test:{server.number}")
    try:
        return await fetch(rules, server.url("hello", host, "https"), egress)
    finally:
        await server.stop()


async def test_tls_with_the_right_name(authority: Authority) -> None:
    for names, host in (
        ([x509.DNSName("right.test")], "right.test"),
        ([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], "127.0.0.1"),
    ):
        reply = await over_tls(authority, [*names], host, True)
        assert (reply.status_code, reply.body) == (200, "grüezi")


@pytest.mark.parametrize(("name", "trusted"), [("wrong.test", True), ("right.test", False)])
async def test_tls_with_a_wrong_name_or_an_unknown_authority_is_refused(
    authority: Authority, name: str, trusted: bool
) -> None:
    with pytest.raises(Unavailable, match=r"TLS with right\.test") as caught:
        await over_tls(authority, [x509.DNSName(name)], "right.test", trusted)
    assert "certificate" in caught.value.hint
