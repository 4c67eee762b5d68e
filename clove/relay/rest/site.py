"""HTTP as the relay serves it: bounded before a request is read, refused by where it comes from, logged."""

from __future__ import annotations

import functools
import time
from collections import Counter
from io import BytesIO
from typing import Any, Final

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.relay.forwarded import Proxies
from clove.relay.rest.limits import RestLimits
from clove.relay.rest.metrics import RequestCounts
from clove.relay.rest.problems import problem_of
from clove.relay.tokens import form
from clove.relay.tokens.lockout import source_of

__all__ = ["RestSite"]

_DEPLOY: Final = b"/api/v1/agents/deploy"
_PATH_SHOWN: Final = 256
_ACCESS: Final = Logger(namespace="clove.relay.access")


class _Request(Request):
    """Keeps its body in memory, within the site's limits, and does not take it for a form.

    @ivar route: path of the route that served it.
    @ivar source: the address that it came from, before proxies that are trusted.
    @ivar token_id: of who asked.
    @ivar machine_id: that it is about; "": of none, or of several.
    """

    channel: Any
    route = ""
    token_id = ""
    machine_id = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        Request.__init__(self, *args, **kwargs)
        self._refused = False
        self._proxies: Proxies = self.channel.site.proxies
        self._peer = str(self.client.host)
        self._began = time.monotonic()
        self._bytes = 0

    @functools.cached_property
    def source(self) -> str:
        """See above."""
        get = self.requestHeaders.getRawHeaders
        return self._proxies.client(self._peer, get("x-forwarded-for", []), get("forwarded", []))

    def gotLength(self, length: int | None) -> None:
        """The header is there; the body is not."""
        self.content = BytesIO()
        if length is not None:
            self._account(length)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        if not self._refused:
            assert self.content is not None
            self.content.write(data)
            if (more := self.content.tell() - self._bytes) > 0:
                self._account(more)

    def _account(self, more: int) -> None:
        """Count bytes of the body; or refuse it, and read no more of this connection."""
        site: RestSite = self.channel.site
        self._bytes += more
        site.bodies += more
        most = site.limits.deploy_body if self._path() == _DEPLOY else site.limits.body
        error: CloveError | None = None
        if self._bytes > most:
            error = LimitExceeded(f"the body has more than {most} bytes", hint="send less")
        elif site.bodies > site.limits.bodies:
            error = Unavailable("the relay receives much already", hint="try again in a second")
        if error is not None:
            self._refuse(error)

    def _path(self) -> bytes:
        return bytes(self.channel._path.partition(b"?")[0])

    def _refuse(self, error: CloveError) -> None:
        self._refused = True
        self.forget()
        answer = problem_of(error)
        self.requestHeaders.removeHeader(b"expect")
        lines = [f"HTTP/1.1 {answer.status} Refused", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self.channel.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        self.channel.write(answer.body)
        self.channel.loseConnection()
        method, path = self.channel._command, self._path()
        self.channel.site.note(self, method, path, answer.status, len(answer.body))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of it is there."""
        if self._refused:
            return
        assert self.content is not None
        self.content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, query = path.partition(b"?")
        if not self.path.startswith(b"/"):  # `OPTIONS *`, or a request to a proxy
            self.path = b"/" + self.path
        self.args = parse_qs(query, 1)
        Request.process(self)

    def forget(self) -> None:
        """Its body takes no memory any more."""
        self.channel.site.bodies -= self._bytes
        self._bytes = 0
        self.content = BytesIO()

    def finish(self) -> None:
        """The reply is written."""
        self.forget()
        Request.finish(self)

    def connectionLost(self, reason: Any) -> None:
        """The client is gone, or its WebSocket."""
        self.forget()
        if not self.finished:
            self.channel.site.log(self)
        Request.connectionLost(self, reason)

    @property
    def schemes(self) -> tuple[str, ...]:
        """Those of the relay's URL; a proxy that hands it on may do TLS or not."""
        if self._proxies.trusts(self._peer):
            return ("http", "https")
        secure: Any = self.isSecure  # has no types
        return ("https",) if secure() else ("http",)

    @property
    def seconds(self) -> float:
        """Since its first line came."""
        return time.monotonic() - self._began


class _Channel(HTTPChannel):
    """One connection. What arrives does not put the end of the time for a request off."""

    def __init__(self, site: RestSite, source: str) -> None:
        HTTPChannel.__init__(self)
        self.site = site
        self._source = source

    def resetTimeout(self) -> None:
        """Not by a byte now and then."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is closed."""
        self.site.closed(self._source)
        HTTPChannel.connectionLost(self, reason)


class RestSite(Site):
    """Listens for the REST API.

    @ivar bodies: bytes of requests' bodies in memory now.
    @ivar limits: as configured.
    @ivar proxies: trusted to say where a request comes from.
    """

    requestFactory = _Request
    displayTracebacks = False
    noisy = False

    def __init__(
        self,
        reactor: Any,
        front: IResource,
        limits: RestLimits,
        counts: RequestCounts,
        proxies: Proxies | None = None,
    ) -> None:
        Site.__init__(self, front, timeout=limits.request_timeout, reactor=reactor)
        self.limits = limits
        self.proxies = proxies or Proxies()
        self.bodies = 0
        self._counts = counts
        self._connections: Counter[str] = Counter()

    def startFactory(self) -> None:
        """The log is the relay's own."""

    def stopFactory(self) -> None:
        """There is nothing to close."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """One more connection, if it is not one too many."""
        host = getattr(addr, "host", "")
        source = source_of(host)
        most = self.limits.connections
        if not self.proxies.trusts(host):
            most = min(most, self.limits.connections_per_address)
        if (
            self._connections.total() >= self.limits.connections
            or self._connections[source] >= most
        ):
            return None
        self._connections[source] += 1
        channel: Any = _Channel(self, source)
        channel.factory = self
        channel.requestFactory = self.requestFactory
        channel.callLater = self.reactor.callLater
        channel.timeOut = self.timeOut
        return channel

    def closed(self, source: str) -> None:
        """One connection less."""
        self._connections[source] -= 1
        if self._connections[source] <= 0:
            del self._connections[source]

    def log(self, request: Any) -> None:
        """A request was answered."""
        self.note(request, request.method, request.path, request.code, request.sentLength)

    def note(self, request: Any, method: bytes, path: bytes, status: int, size: int) -> None:
        """One line for each request, without its query and without secrets; and its numbers."""
        shown = form.redact(ascii(path.decode("utf-8", "replace"))[1:-1][:_PATH_SHOWN])
        self._counts.add(request.route, status, request.seconds)
        _ACCESS.info(
            "{source} {method} {path} {status} {size} B {milliseconds:.1f} ms token {token_id}",
            source=request.source,
            method=ascii(method.decode("utf-8", "replace"))[1:-1][:16],
            path=shown,
            status=status,
            size=size,
            milliseconds=request.seconds * 1000,
            token_id=request.token_id or "-",
        )
