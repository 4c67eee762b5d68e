"""The Prometheus text over HTTP, for a port on loopback only.

A web page in a browser on this machine could reach such a port by a name that
it makes resolve to 127.0.0.1 (DNS rebinding). So the Host header must be a
loopback name, and a request that a page of another origin makes is refused.
"""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import FORBIDDEN, INTERNAL_SERVER_ERROR, NOT_ALLOWED
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from clove.kernel.metrics.metrics import Metrics
from clove.kernel.metrics.prometheus import CONTENT_TYPE

__all__ = ["MetricsPage", "is_loopback_name", "listen", "metrics_site"]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
IDLE: Final = 30
"""Seconds that a client may be silent."""


def is_loopback_name(host: str) -> bool:
    """Whether a Host header (name and optional port) is a loopback name. Pure."""
    try:
        parts = urlsplit(f"//{host}")
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return port_is_fine and parts.hostname in LOOPBACK and parts.netloc == host and "@" not in host


class MetricsPage(Resource):
    """GET /metrics."""

    isLeaf = True
    log = Logger()

    def __init__(self, metrics: Metrics) -> None:
        Resource.__init__(self)
        self._metrics = metrics

    def render(self, request: Request) -> bytes | int:
        """The text, or 403 for a request that no local program would make."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"x-content-type-options", b"nosniff")
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(NOT_ALLOWED)
            request.setHeader(b"allow", b"GET, HEAD")
            return b"only GET and HEAD\n"
        if not _is_local(request):
            request.setResponseCode(FORBIDDEN)
            return b"Permission denied: only for programs on this machine\n"
        deferred = self._metrics.prometheus()
        request.notifyFinish().addErrback(lambda _: deferred.cancel())
        deferred.addCallback(self._answer, request).addErrback(self._failed, request)
        return NOT_DONE_YET

    def _answer(self, text: bytes, request: Request) -> None:
        request.setHeader(b"content-type", CONTENT_TYPE)
        request.setHeader(b"content-length", b"%d" % len(text))
        request.write(text)
        request.finish()

    def _failed(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):  # the client is gone
            return
        self.log.failure("metrics could not be read", failure=failure)
        request.setResponseCode(INTERNAL_SERVER_ERROR)
        request.write(b"internal error\n")
        request.finish()


class _Root(Resource):
    """What is at /metrics, and nothing else."""

    def __init__(self, metrics: Metrics) -> None:
        Resource.__init__(self)
        self.putChild(b"metrics", MetricsPage(metrics))

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Nothing else is here."""
        return notFound()


def metrics_site(metrics: Metrics) -> Site:
    """What to listen with on 127.0.0.1."""
    site = Site(_Root(metrics), timeout=IDLE)
    site.displayTracebacks = False
    return site


async def listen(reactor: Any, metrics: Metrics, port: int) -> IListeningPort:
    """Serve on a port of 127.0.0.1 (0: one that is free); gives the port.

    @raise CannotListenError: it is in use.
    """
    # Not by an endpoint: their module imports TLS, which takes 12 MB.
    site = metrics_site(metrics)
    return cast(IListeningPort, reactor.listenTCP(port, site, interface="127.0.0.1"))


def _is_local(request: Request) -> bool:
    host = request.getHeader("host")
    origin = request.getHeader("origin")
    if host is None or not is_loopback_name(host):
        return False
    if origin is None:
        return True
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and is_loopback_name(rest)
