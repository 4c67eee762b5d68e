"""The HTTP syscall against real servers on loopback: pages, limits, time-outs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import globalLogPublisher

from clove.errors import LimitExceeded, PermissionDenied, TimedOut, Unavailable
from clove.kernel.calls.http import http
from clove.kernel.context import Context
from clove.kernel.network.egress.fetch import Egress
from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.principal import Kind, Principal
from clove.messages.http import HttpRequest
from clove.policy import Permissions
from tests.integration.egress.pages import (
    EVERYTHING,
    REACTOR,
    Server,
    allowing,
    fetch,
    turn,
)


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


async def test_the_syscall_uses_the_callers_permissions(server: Server, local: Permissions) -> None:
    kernel: Any = SimpleNamespace(egress=Egress(REACTOR))
    caller = Principal(7, Kind.AGENT, local)
    assert (await http(Context(kernel, caller), HttpRequest(url=server.url("hello")))).success
    caller.permissions = EVERYTHING
    with pytest.raises(PermissionDenied):
        await http(Context(kernel, caller), HttpRequest(url=server.url("hello")))
    await turn()


async def test_a_redirect_is_judged_by_the_permissions_of_then(
    server: Server, local: Permissions
) -> None:
    kernel: Any = SimpleNamespace(egress=Egress(REACTOR))
    caller = Principal(7, Kind.AGENT, local)
    context = Context(kernel, caller)
    fetching = Deferred.fromCoroutine(http(context, HttpRequest(url=server.url("silent"))))
    await server.pages.arrived
    caller.permissions = EVERYTHING
    [request] = server.pages.waiting
    request.redirect(server.url("hello").encode())
    request.finish()
    with pytest.raises(PermissionDenied):
        await fetching
    assert [path for _, path, _, _ in server.pages.seen] == ["/silent"]
    await turn()


async def test_proxy_variables_change_nothing(
    server: Server, local: Permissions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await fetch(local, server.url("hello"))).status_code == 200


async def test_requests_at_once_are_limited(server: Server, local: Permissions) -> None:
    egress = Egress(REACTOR, EgressLimits(max_concurrent=3, max_per_agent=1))
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
