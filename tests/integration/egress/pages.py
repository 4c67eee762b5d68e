"""A server on loopback with a page for each thing that is tested, and how it is asked."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from clove.kernel.network.egress.fetch import Egress
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


async def fetch(
    permissions: Permissions, url: str, egress: Egress | None = None, **fields: Any
) -> HttpReply:
    egress = egress or Egress(REACTOR)
    reply = await egress.fetch(permissions, HttpRequest(url=url, **fields))
    await turn()
    return reply
