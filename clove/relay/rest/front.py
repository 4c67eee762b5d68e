"""What every request passes first: where it comes from, and the headers of every reply."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from twisted.web.resource import IResource, Resource

from clove._version import __version__
from clove.errors import CloveError, InvalidRequest, PermissionDenied
from clove.relay.denials import Denials
from clove.relay.rest.noting import note_denial
from clove.relay.rest.origin import is_own_host, is_own_origin
from clove.relay.rest.problems import problem_of

__all__ = ["Front"]

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": f"clove-relay/{__version__}",
    "X-Content-Type-Options": "nosniff",
}


class Front(Resource):
    """Refuses what comes from pages of others or to no path at all, and sets what every reply has.

    @param names: the relay's own, in lower case.
    """

    isLeaf = True

    def __init__(self, inner: IResource, names: Collection[str], denials: Denials) -> None:
        Resource.__init__(self)
        self._inner = inner
        self._names = names
        self._denials = denials

    def render(self, request: Any) -> Any:
        """One request."""
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        problem = self._problem(request)
        if problem is None:
            return self._inner.render(request)
        if isinstance(problem, PermissionDenied):
            note_denial(self._denials, request, problem, "site")
        answer = problem_of(problem)
        request.setResponseCode(answer.status)
        for name, value in answer.headers.items():
            request.setHeader(name, value)
        if request.method != b"HEAD":
            return answer.body
        request.setHeader("Content-Length", str(len(answer.body)))
        return b""

    def _problem(self, request: Any) -> CloveError | None:
        hosts = request.requestHeaders.getRawHeaders("host", [])
        origins = request.requestHeaders.getRawHeaders("origin", [])
        if len(hosts) != 1 or not is_own_host(hosts[0], self._names):
            return PermissionDenied(
                "this Host is not the relay's",
                rule="host",
                hint="use an address, or add the name to rest.hosts",
            )
        if not all(is_own_origin(origin, hosts[0], request.schemes) for origin in origins):
            return PermissionDenied(
                "requests of other sites' pages are not served",
                rule="origin",
                hint="call the API from a program, or from the relay's own page",
            )
        try:
            b"/".join(request.postpath).decode()
        except UnicodeDecodeError:  # Klein would log a traceback, for anybody
            return InvalidRequest(
                "the path is no UTF-8", hint="GET /api/v1/openapi.json has all of them"
            )
        return None
