"""Connecting to a relay: its endpoint, and a WebSocket there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from clove.channels.host_check import HostChecked
from clove.channels.websocket_messages import MessageSocket, connecting
from clove.errors import InvalidRequest, Unavailable
from clove.regular import read_regular
from clove.tunnel.proxy import proxied

if TYPE_CHECKING:
    from twisted.internet.interfaces import IStreamClientEndpoint

    from clove.tunnel.target import Target

__all__ = ["endpoint_of", "late", "open_socket"]

MOST_CERTIFICATES = 1 << 20


def endpoint_of(
    reactor: Any, target: Target, ca_file: str, proxy: str = "", credentials: str = ""
) -> IStreamClientEndpoint:
    """Of a relay; with TLS its certificate is checked for its name. Blocking.

    @param ca_file: certificates in PEM that it has to be signed by, instead of the host's; "": those.
    @param proxy: URL of an HTTP proxy in between; "": none.
    @param credentials: C{USER:PASSWORD} for that.
    @raise InvalidRequest: the file or the proxy cannot be used.
    """
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, target.host, target.port)
    if proxy:
        endpoint = proxied(reactor, target, proxy, credentials)
    if not target.tls:
        return endpoint
    trust: Any = None
    if ca_file:
        try:
            text = read_regular(ca_file, MOST_CERTIFICATES).decode()
            end = "-----END CERTIFICATE-----"
            pieces = [(piece + end).encode() for piece in text.split(end)[:-1]]
            trust = trustRootFromCertificates([Certificate.loadPEM(piece) for piece in pieces])
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"cannot use the certificates in {ca_file}: {error}") from None
    creator = optionsForClientTLS(target.host, trust) if trust else optionsForClientTLS(target.host)
    return wrapClientTLS(HostChecked(creator, target.host), endpoint)


async def open_socket(
    reactor: Any, endpoint: IStreamClientEndpoint, url: str, seconds: float
) -> MessageSocket:
    """A WebSocket at an endpoint.

    @raise Unavailable: there is none within so many seconds.
    @raise ConnectError: it cannot be connected to.
    """
    opened: Deferred[MessageSocket] = Deferred()

    def failed(reason: str) -> None:
        if not opened.called:
            opened.errback(Unavailable(f"no relay answers there: {reason}"))

    def done(socket: MessageSocket) -> None:
        if opened.called:
            socket.abort()
        else:
            opened.callback(socket)

    factory = connecting(url, done, failed, reactor=reactor)
    connecting_to: Deferred[Any] = endpoint.connect(factory)
    connecting_to.addTimeout(seconds, reactor, late)
    protocol = await connecting_to
    opened.addTimeout(seconds, reactor, late)
    try:
        return await opened
    except (CancelledError, Unavailable):
        protocol.transport.abortConnection()
        raise


def late(result: object, seconds: float) -> Any:
    """What has not come in time.

    @raise Unavailable: always.
    """
    raise Unavailable(f"the relay has not answered within {seconds:g} s")
