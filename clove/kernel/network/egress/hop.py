"""Connections to addresses that were checked, and to nothing else.

Twisted's Agent would resolve the name itself, and could get another answer than
the one that policy saw. This one is made for a single request: it knows the
target and its checked addresses, and connects for nothing else.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
    IResponse,
)
from zope.interface import implementer

from clove.kernel.network.egress.limits import EgressLimits
from clove.kernel.network.way_out import WayOut
from clove.policy import Target

__all__ = ["Hop"]

SLACK = 128 << 10
"""Raw bytes that may come before the headers are whole, beside the headers: a TLS
handshake, and what else one read of the socket brings."""


class _Metered(ProtocolWrapper):
    """Passes bytes on as long as the hop takes them."""

    def dataReceived(self, data: bytes) -> None:
        hop: Hop = self.factory.hop
        if hop.takes(len(data)):
            super().dataReceived(data)  # type: ignore[no-untyped-call]
        else:
            hop.close()


class _MeteredFactory(WrappingFactory):
    """Makes the protocol of a hop's connection, and shows its transport to the hop."""

    protocol = _Metered
    noisy = False

    def __init__(self, factory: IProtocolFactory, hop: Hop) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.hop = hop

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        self.hop.connection = protocol
        return protocol


@implementer(IStreamClientEndpoint)
class _CheckedEndpoint:
    """Connects to the first checked address that answers."""

    def __init__(self, reactor: Any, hop: Hop, target: Target, timeout: float) -> None:
        self._reactor = reactor
        self._hop = hop
        self._target = target
        self._timeout = timeout

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Part of IStreamClientEndpoint."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        hop, target = self._hop, self._target
        dialled = hop.way_out.dial(target.host, hop.addresses, target.port, self._timeout)
        connection = await dialled
        with connection:  # the reactor takes a copy of the descriptor
            metered = _MeteredFactory(factory, self._hop)
            self._reactor.adoptStreamConnection(connection.fileno(), connection.family, metered)
        return self._hop.connection.wrappedProtocol


@implementer(IAgent, IAgentEndpointFactory)
class Hop:
    """One request to one target: an agent (IAgent) that can do nothing else.

    @ivar addresses: the checked addresses, in the order to try them; none where the proxy looks
        the name up.
    @ivar encoding: the response's content encoding. It is taken out of the
        response, since the body is decompressed by L{clove.kernel.network.egress.body},
        which is bounded.
    @ivar flooded: the server sent more than headers may have, and was cut off.
    """

    def __init__(
        self,
        reactor: Any,
        target: Target,
        addresses: list[str],
        trust: IPolicyForHTTPS,
        limits: EgressLimits,
        way_out: WayOut,
    ) -> None:
        self._reactor = reactor
        self._target = target
        self._trust = trust
        self._limits = limits
        self._left: int | None = limits.max_headers + SLACK
        self.addresses = addresses
        self.way_out = way_out
        self.connection: Any = None
        self.encoding = ""
        self.flooded = False

    def takes(self, size: int) -> bool:
        """Count raw bytes until the headers are whole; False when there are too many."""
        if self._left is not None:
            self._left -= size
            self.flooded = self._left < 0
            return not self.flooded
        return True

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Part of IAgentEndpointFactory.

        @raise ValueError: not the URL that was checked.
        """
        target = self._target
        asked = (uri.scheme.decode("ascii"), uri.host.decode("ascii"), uri.port)
        if asked != (target.scheme, target.host, target.port):
            raise ValueError("not the URL that was checked")
        endpoint = _CheckedEndpoint(self._reactor, self, target, self._limits.connect_timeout)
        if target.scheme != "https":
            return endpoint
        creator = self._trust.creatorForNetloc(uri.host, uri.port)
        return wrapClientTLS(creator, endpoint)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Part of IAgent. It is the target's own URL that is sent for, whatever C{uri} says."""
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        agent = Agent.usingEndpointFactory(self._reactor, self, pool)
        sent: Deferred[IResponse] = agent.request(
            method, self._target.url.encode("ascii"), headers, bodyProducer
        )
        return sent.addCallback(self._begun)

    def _begun(self, response: IResponse) -> IResponse:
        self._left = None
        encodings = response.headers.getRawHeaders(b"content-encoding", [])
        self.encoding = b",".join(encodings).decode("latin-1").strip().lower()
        response.headers.removeHeader(b"content-encoding")
        return response

    def close(self) -> None:
        """End the connection at once. Idempotent."""
        connection, self.connection = self.connection, None
        if connection is not None and connection.transport is not None:
            connection.transport.abortConnection()
