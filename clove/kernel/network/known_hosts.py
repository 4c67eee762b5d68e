"""Names with addresses from the configuration, looked up before the host's resolver is asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHostnameResolver, IResolutionReceiver
from zope.interface import implementer

from clove.errors import InvalidRequest
from clove.policy import normalise_host

__all__ = ["EgressSettings", "KnownHosts"]


class EgressSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the kernel finds the hosts that agents name."""

    hosts: dict[str, str] = {}
    """Host name to its one address, before the resolver of the host is asked. An address
    that is not public needs a rule in `allowed_domains` that names it, as always."""

    def __post_init__(self) -> None:
        """@raise ValueError: a name or an address makes no sense."""
        for name, address in self.hosts.items():
            try:
                normalise_host(name)
                ipaddress.ip_address(address)
            except InvalidRequest as error:
                raise ValueError(error.message) from None


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
