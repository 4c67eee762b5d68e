"""Reaching a relay through an HTTP proxy (CONNECT: RFC 9110, 9.3.6)."""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from clove.channels.message_socket import printable
from clove.errors import InvalidRequest, Unavailable
from clove.tunnel.target import Target

__all__ = ["ProxiedEndpoint", "proxied"]

MOST_HEAD: Final = 16 << 10
"""Bytes of a proxy's answer."""
MOST_WORDS: Final = 200


def proxied(reactor: Any, target: Target, url: str, credentials: str) -> IStreamClientEndpoint:
    """The endpoint of a relay behind a proxy, which looks the relay's name up.

    @param credentials: C{USER:PASSWORD}; "": none.
    @raise InvalidRequest: the URL is no proxy's.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme != "http" or not (host and port) or parts.path not in ("", "/"):
        raise InvalidRequest(f"{url!r} is no proxy", hint="such as http://proxy.example:3128")
    if parts.username or parts.password:
        raise InvalidRequest(
            "the proxy's URL must not hold credentials", hint="use proxy_credentials_file"
        )
    return ProxiedEndpoint(HostnameEndpoint(reactor, host, port), target, credentials)


@implementer(IStreamClientEndpoint)
class ProxiedEndpoint:
    """Connects to a relay through a proxy.

    @param proxy: where that is.
    """

    def __init__(self, proxy: IStreamClientEndpoint, target: Target, credentials: str = "") -> None:
        self._proxy = proxy
        host = f"[{target.host}]" if ":" in target.host else target.host
        where = f"{host}:{target.port}"
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        if credentials:
            basic = base64.b64encode(credentials.encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {basic}")
        self._head = "\r\n".join([*lines, "", ""]).encode()

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Part of IStreamClientEndpoint."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        connecting: _Connecting = await connectProtocol(
            self._proxy, _Connecting(self._head, factory)
        )
        return await connecting.opened


class _Connecting(Protocol):
    """A connection to the proxy, then one to the relay.

    @ivar opened: fires with the protocol that speaks to the relay.
    """

    def __init__(self, head: bytes, factory: IProtocolFactory) -> None:
        self.opened: Deferred[Any] = Deferred(lambda _: self._abort())
        self._head = head
        self._factory = factory
        self._answer = b""
        self._inner: Any = None

    def connectionMade(self) -> None:
        """The proxy listens."""
        assert self.transport is not None
        self.transport.write(self._head)

    def dataReceived(self, data: bytes) -> None:
        """Its answer; then what the relay says."""
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif not self.opened.called:
            self._answer += data
            head, end, rest = self._answer.partition(b"\r\n\r\n")
            if end or len(head) > MOST_HEAD:
                self._answered(head, rest)

    def _answered(self, head: bytes, rest: bytes) -> None:
        line = head.partition(b"\r\n")[0].decode("latin-1")
        words = line.split(maxsplit=2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or words[1][:1] != "2":
            said = printable(line)[:MOST_WORDS]
            self._fail(f"the proxy does not connect to the relay: it answers {said!r}")
            self._abort()
            return
        assert self.transport is not None
        inner = self._factory.buildProtocol(self.transport.getPeer())
        assert inner is not None
        self._inner = inner
        inner.makeConnection(self.transport)
        self.opened.callback(inner)
        if rest:
            inner.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """One of them has closed it."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._fail("the proxy has closed the connection")

    def _fail(self, words: str) -> None:
        if not self.opened.called:
            self.opened.errback(Unavailable(words, hint="check `proxy`"))

    def _abort(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr] # it is connected
