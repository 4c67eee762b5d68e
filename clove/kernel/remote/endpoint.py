"""Connecting to a relay as the kernel connects to hosts: directly, by NAT64 or through its proxy.

Imported with a tunnel alone: it needs OpenSSL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.network.authorities import read_certificates
from clove.kernel.network.egress.trust import trusting
from clove.kernel.network.lookups import Lookups
from clove.policy.hosts import as_address
from clove.sharing.shares import OPERATORS, Shares

if TYPE_CHECKING:
    from clove.kernel.network.way_out import WayOut
    from clove.tunnel.target import Target

__all__ = ["endpoint_to"]

ATTEMPT_SECONDS: Final = 10.0
"""For each address."""
MOST_ADDRESSES: Final = 8


def endpoint_to(
    reactor: Any, target: Target, way_out: WayOut, resolver: Any, ca_file: str
) -> IStreamClientEndpoint:
    """The endpoint of a relay; with TLS its certificate is checked for its name. Blocking.

    @param ca_file: certificates in PEM that are trusted beside the host's; "": none.
    @raise InvalidRequest: the file cannot be used.
    """
    endpoint: IStreamClientEndpoint = _RelayEndpoint(reactor, target, way_out, resolver)
    if not target.tls:
        return endpoint
    try:
        certificates = read_certificates(ca_file) if ca_file else ()
    except InvalidRequest as error:
        raise InvalidRequest(error.message.replace("egress.ca_file", "tunnel.ca_file")) from None
    creator = trusting(certificates).creatorForNetloc(target.host.encode(), target.port)
    return wrapClientTLS(creator, endpoint)


class _Catching(Factory):
    """Keeps the protocol that is made."""

    noisy = False

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory
        self.made: Any = None

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        self.made = self._factory.buildProtocol(addr)
        return self.made


@implementer(IStreamClientEndpoint)
class _RelayEndpoint:
    """Looks the relay up and connects to the first address that answers."""

    def __init__(self, reactor: Any, target: Target, way_out: WayOut, resolver: Any) -> None:
        self._reactor = reactor
        self._target = target
        self._way_out = way_out
        self._lookups = Lookups(resolver, Shares("look-ups of the relay", "", 1), MOST_ADDRESSES)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Part of IStreamClientEndpoint."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        target = self._target
        addresses = await self._addresses()
        connection = await self._way_out.dial(target.host, addresses, target.port, ATTEMPT_SECONDS)
        with connection:  # the reactor takes a copy of the descriptor
            catching = _Catching(factory)
            self._reactor.adoptStreamConnection(connection.fileno(), connection.family, catching)
        return catching.made

    async def _addresses(self) -> list[str]:
        host = self._target.host
        if as_address(host):
            return [host]
        if not self._way_out.looks_up(host):
            return []
        found = await self._lookups.resolve(host, self._target.port, OPERATORS)
        if not found:
            raise Unavailable(f"the relay's name {host!r} has no address", hint="check relay_url")
        return found
