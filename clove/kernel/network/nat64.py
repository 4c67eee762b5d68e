"""IPv4 addresses inside of IPv6 ones, as NAT64 has them (RFC 6052). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from clove.errors import InvalidRequest
from clove.policy.addresses import special_range

__all__ = ["WELL_KNOWN", "Nat64", "prefix_in"]

WELL_KNOWN: Final = "64:ff9b::/96"
"""What RFC 6052 gives to all networks; others choose a prefix of their own."""
LENGTHS: Final = (32, 40, 48, 56, 64, 96)
ONLY: Final = ("192.0.0.170", "192.0.0.171")
"""The addresses of `ipv4only.arpa`."""
_RESERVED: Final = 8
"""Which byte is 0, whatever the prefix's length (RFC 6052, 2.2)."""


class Nat64:
    """Both ways between the addresses of one network's translator.

    @raise InvalidRequest: no prefix that such a network has.
    """

    def __init__(self, prefix: str) -> None:
        try:
            self._network = ipaddress.IPv6Network(prefix)
        except ValueError:
            raise InvalidRequest(f"not an IPv6 prefix: {prefix[:80]!r}") from None
        if self._network.prefixlen not in LENGTHS:
            raise InvalidRequest(
                f"a NAT64 prefix has /{', /'.join(map(str, LENGTHS))}, not "
                f"/{self._network.prefixlen}"
            )
        start = self._network.prefixlen // 8
        offsets = [at for at in range(start, 16) if at != _RESERVED]
        self._offsets = offsets[:4] if start < 12 else list(range(12, 16))

    def to_ipv4(self, address: str) -> str:
        """The IPv4 address that an address stands for; itself where it stands for none."""
        if ":" not in address:
            return address
        try:
            found = ipaddress.IPv6Address(address)
        except ValueError:
            return address
        if found not in self._network:
            return address
        return str(ipaddress.IPv4Address(bytes(found.packed[at] for at in self._offsets)))

    def to_ipv6(self, address: str) -> str | None:
        """Where the translator has a public IPv4 address; None for any other address."""
        try:
            found = ipaddress.IPv4Address(address)
        except ValueError:
            return None
        if special_range(found) is not None:  # a translator is for what all networks have
            return None
        packed = bytearray(self._network.network_address.packed)
        for at, byte in zip(self._offsets, found.packed, strict=True):
            packed[at] = byte
        return str(ipaddress.IPv6Address(bytes(packed)))


def prefix_in(addresses: Iterable[str]) -> str:
    """A network's prefix, by the addresses of `ipv4only.arpa` (RFC 7050, 3); "" if it has none."""
    for address in addresses:
        if ":" not in address:
            continue
        for length in reversed(LENGTHS):
            network = ipaddress.IPv6Network(f"{address}/{length}", strict=False)
            if Nat64(str(network)).to_ipv4(address) in ONLY:
                return str(network)
    return ""
