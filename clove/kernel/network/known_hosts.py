"""Names with addresses from the configuration, looked up before the host's resolver is asked, and what
that says read as NAT64 has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostnameResolver, IResolutionReceiver
from zope.interface import implementer

from clove.kernel.network.nat64 import Nat64
from clove.policy import normalise_host

__all__ = ["KnownHosts", "TranslatedNames"]


@implementer(IHostnameResolver)
class KnownHosts:
    """Answers for the names that it knows, and asks another resolver for the rest."""

    def __init__(self, hosts: Mapping[str, str], others: IHostnameResolver) -> None:
        self._hosts = {normalise_host(name): address for name, address in hosts.items()}
        self._others = others

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """Part of IHostnameResolver."""
        known = self._hosts.get(hostName)
        if known is None:
            return self._others.resolveHostName(
                resolutionReceiver, hostName, portNumber, addressTypes, transportSemantics
            )
        kind = IPv6Address if ":" in known else IPv4Address
        resolutionReceiver.resolutionBegan(None)  # type: ignore[arg-type]
        resolutionReceiver.addressResolved(kind("TCP", known, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolutionReceiver


@implementer(IResolutionReceiver)
class _Translated:
    """Passes answers on, those of NAT64 as the IPv4 addresses that they stand for."""

    def __init__(self, receiver: IResolutionReceiver, nat64: Nat64) -> None:
        self._receiver = receiver
        self._nat64 = nat64

    def resolutionBegan(self, resolution: Any) -> None:
        """Part of IResolutionReceiver."""
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: IAddress) -> None:
        """Part of IResolutionReceiver."""
        if isinstance(address, IPv6Address):
            meant = self._nat64.to_ipv4(address.host)
            if meant != address.host:
                address = IPv4Address("TCP", meant, address.port)
        self._receiver.addressResolved(address)

    def resolutionComplete(self) -> None:
        """Part of IResolutionReceiver."""
        self._receiver.resolutionComplete()


@implementer(IHostnameResolver)
class TranslatedNames:
    """Another resolver's answers, with IPv4 addresses for those of a network's NAT64.

    So policy judges what such an address leads to, and a name with both kinds has one.
    """

    def __init__(self, nat64: Nat64, others: IHostnameResolver) -> None:
        self._nat64 = nat64
        self._others = others

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """Part of IHostnameResolver."""
        receiver = _Translated(resolutionReceiver, self._nat64)
        self._others.resolveHostName(
            receiver, hostName, portNumber, addressTypes, transportSemantics
        )
        return resolutionReceiver
