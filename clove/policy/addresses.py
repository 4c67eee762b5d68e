"""Which addresses may be dialled: the public ones, and those that a rule names.

The tables follow IANA's special-purpose address registries (RFC 6890 and its
updates), kept here because what `ipaddress.is_global` says changes between
releases of Python. Transitional IPv6 forms that carry an IPv4 address in them
(mapped, compatible, 6to4, NAT64, Teredo) count as special whatever they carry.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Final

from clove.policy.hosts import Address

__all__ = ["Network", "special_range"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_METADATA: Final = ("169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32")
_METADATA_6: Final = ("fd00:ec2::254/128", "fd20:ce::254/128")
_RANGES_4: Final = {
    **dict.fromkeys(_METADATA, "metadata service"),
    "127.0.0.0/8": "loopback",
    "10.0.0.0/8": "private",
    "172.16.0.0/12": "private",
    "192.168.0.0/16": "private",
    "169.254.0.0/16": "link-local",
    "100.64.0.0/10": "carrier-grade NAT",
    "0.0.0.0/8": "this network",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_RANGES_6: Final = {
    **dict.fromkeys(_METADATA_6, "metadata service"),
    "::1/128": "loopback",
    "::/128": "unspecified",
    "::ffff:0:0/96": "IPv4-mapped",
    "::/96": "IPv4-compatible",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "2001::/32": "Teredo",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3fff::/20": "documentation",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
    # Only 2000::/3 is given out for global use; the rest of the space is this.
    "::/3": "reserved",
    "4000::/2": "reserved",
    "8000::/1": "reserved",
}
_TABLES: Final[dict[int, list[tuple[Network, str]]]] = {
    4: [(ipaddress.IPv4Network(text), kind) for text, kind in _RANGES_4.items()],
    6: [(ipaddress.IPv6Network(text), kind) for text, kind in _RANGES_6.items()],
}


@functools.lru_cache(maxsize=1024)
def special_range(network: Address | Network) -> tuple[Network, str] | None:
    """The first special range that holds all of an address or network, and its kind.

    None for a public address, and for a network that is wider than a range.
    """
    if isinstance(network, ipaddress.IPv4Address | ipaddress.IPv6Address):
        network = ipaddress.ip_network(network)
    low, high = int(network.network_address), int(network.broadcast_address)
    for known, kind in _TABLES[network.version]:
        if int(known.network_address) <= low and high <= int(known.broadcast_address):
            return known, kind
    return None
