"""What is sent: checked headers, and what a redirect makes of a request. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import urljoin

from clove._version import __version__
from clove.errors import InvalidRequest, LimitExceeded
from clove.messages.http import HttpRequest
from clove.policy import Target

__all__ = ["REDIRECTS", "Outgoing", "outgoing"]

MAX_FIELDS: Final = 256
"""Headers of one request; more are a LimitExceeded."""
REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, token
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset(
    """host content-length transfer-encoding connection keep-alive te trailer upgrade expect
    proxy-connection proxy-authorization accept-encoding""".split()  # noqa: SIM905
)
"""Headers that belong to the connection, which is the kernel's."""
_SECRET: Final = re.compile(r"auth|cookie|token|secret|session|api-?key", re.ASCII)
"""Headers that one host's server shall not see when another's sends us there."""


class Outgoing(NamedTuple):
    """One request as it goes out, to one hop.

    @ivar headers: names in lower case.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def redirected(self, status: int, target: Target, location: str) -> Outgoing:
        """The request that follows a redirect (RFC 9110, 15.4, and what browsers do).

        @param target: where this request went.
        @raise InvalidRequest: the location makes no URL.
        """
        try:
            url = urljoin(target.url, location.strip(" \t"))
        except ValueError:
            raise InvalidRequest("the server redirects to what is no URL") from None
        method, headers, body = self.method, self.headers, self.body
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", b""
            headers = tuple(one for one in headers if not one[0].startswith("content-"))
        return Outgoing(method, url, headers, body)

    def without_secrets(self) -> Outgoing:
        """The same without headers that were meant for another host."""
        return self._replace(
            headers=tuple(one for one in self.headers if not _SECRET.search(one[0]))
        )


def outgoing(request: HttpRequest, max_headers: int) -> Outgoing:
    """A request from an agent, checked.

    @param max_headers: bytes of its headers.
    @raise InvalidRequest: a header that is not one, or that only the kernel sets.
    @raise LimitExceeded: too many headers.
    """
    headers: dict[str, str] = {"user-agent": f"clove/{__version__}"}
    size = 0
    for name, value in (request.headers or {}).items():
        size += len(name) + len(value) + 4
        if len(headers) > MAX_FIELDS:
            raise LimitExceeded(f"a request has at most {MAX_FIELDS} headers")
        if size > max_headers:  # before more of them are looked at
            raise LimitExceeded(f"headers have at most {max_headers} bytes altogether")
        lower = name.lower()
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidRequest(
                f"not a header: {name[:80]!r}",
                hint="no line ends or control characters; values in Latin-1",
            )
        if lower in _OURS:
            raise InvalidRequest(
                f"the kernel sets the header {lower!r} itself", hint="leave it out"
            )
        headers[lower] = value
    try:
        body = (request.body or "").encode()
    except UnicodeEncodeError:
        raise InvalidRequest("the body holds lone surrogates, which UTF-8 cannot") from None
    return Outgoing(request.method.upper(), request.url, tuple(headers.items()), body)
