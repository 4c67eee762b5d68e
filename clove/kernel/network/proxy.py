"""CONNECT to an HTTP proxy (RFC 9110, 9.3.6), over a socket that was dialled to it."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.network.settings import EgressSettings
from clove.regular import read_credentials

__all__ = ["authorization", "open_tunnel"]

MOST_HEAD: Final = 16 << 10
"""Bytes of the proxy's answer."""
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r\n")
_SCHEME: Final = re.compile(rb"(?im)^proxy-authenticate:[ \t]*([A-Za-z0-9-]{1,32})")
_END: Final = b"\r\n\r\n"


def authorization(settings: EgressSettings) -> str:
    """What is sent to the proxy as `Proxy-Authorization`; "" without credentials.

    @raise InvalidRequest: the file cannot be read, all users may read it, or it has none.
    """
    path = settings.proxy_credentials_file
    if not path:
        return ""
    try:
        text = ":".join(read_credentials(path))
    except ValueError as error:
        raise InvalidRequest(f"egress.proxy_credentials_file: {error}") from None
    return "Basic " + base64.b64encode(text.encode()).decode("ascii")


async def open_tunnel(
    reactor: Any, connection: socket.socket, where: str, credentials: str, timeout: float
) -> None:
    """Have the proxy connect a socket that is connected to it to somewhere else.

    Nothing behind the proxy's answer is read: it is the other end's.

    @param where: HOST:PORT, an IPv6 address in brackets.
    @param credentials: as L{authorization} gives them.
    @raise Unavailable: the proxy does not, and why. The caller closes the socket.
    """
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if credentials:
        lines.append(f"Proxy-Authorization: {credentials}")
    request = "\r\n".join([*lines, "", ""]).encode("ascii")
    if connection.send(request) != len(request):
        raise Unavailable("the proxy takes no request")
    answer = _Answer(reactor, connection)
    answer.done.addTimeout(timeout, reactor)
    try:
        _check(await answer.done, where, bool(credentials))
    except DeferredTimeout:
        raise Unavailable(f"the proxy did not answer within {timeout:g} s") from None


def _check(head: bytes, where: str, sent_credentials: bool) -> None:
    """@raise Unavailable: it is no yes."""
    match = _STATUS.match(head)
    if match is None:
        raise Unavailable("the proxy's answer is not HTTP/1", hint="check egress.proxy")
    status = int(match[1])
    if 200 <= status < 300:
        return
    reason = re.sub(r"[^ -~]+", " ", (match[2] or b"").decode("latin-1")).strip()[:80]
    said = f"the proxy answers CONNECT {where} with {status} {reason}".rstrip()
    if status == 407:
        schemes = sorted({one.decode().capitalize() for one in _SCHEME.findall(head)})
        offers = f" (it takes {', '.join(schemes[:5])}; Clove has Basic)" if schemes else ""
        what = "does not take these credentials" if sent_credentials else "wants credentials"
        raise Unavailable(
            f"{said}: it {what}{offers}", hint="the operator sets egress.proxy_credentials_file"
        )
    if status in (403, 405):
        hint = "the proxy forbids this host or port; many allow CONNECT to port 443 alone"
        raise Unavailable(said, hint=hint)
    raise Unavailable(said, hint="the proxy may not know the host; ask its operator")


@implementer(IReadDescriptor)
class _Answer:
    """Reads a head, and not a byte behind it."""

    def __init__(self, reactor: Any, connection: socket.socket) -> None:
        self._reactor = reactor
        self._socket = connection
        self._head = b""
        self.done: Deferred[bytes] = Deferred(lambda _: self._stop())
        reactor.addReader(self)

    def fileno(self) -> int:
        """Part of IFileDescriptor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Part of ILoggingContext."""
        return "proxy"

    def _stop(self) -> None:
        self._reactor.removeReader(self)

    def _end(self, tell: Callable[..., None], value: object) -> None:
        self._stop()
        if not self.done.called:
            tell(value)

    def doRead(self) -> None:
        """Part of IReadDescriptor."""
        try:
            seen = self._socket.recv(MOST_HEAD, socket.MSG_PEEK)
            found = (self._head + seen).find(_END)
            size = len(seen) if found < 0 else found + len(_END) - len(self._head)
            self._head += self._socket.recv(size) if seen else b""
        except BlockingIOError:
            return
        except OSError as error:
            self._end(self.done.errback, Unavailable(f"the proxy: {error.strerror or error}"))
            return
        if found >= 0:
            self._end(self.done.callback, self._head)
        elif not seen or len(self._head) >= MOST_HEAD:
            what = "closed the connection" if not seen else "sends a head without end"
            self._end(self.done.errback, Unavailable(f"the proxy {what}"))

    def connectionLost(self, reason: object) -> None:
        """Part of IFileDescriptor."""
        self._end(self.done.errback, Unavailable("the proxy closed the connection"))
