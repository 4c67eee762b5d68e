"""Which Host and Origin headers are ours. Pure.

A web page in a browser can send requests anywhere. By its Origin it is told from ours; and a name
of its own that it makes resolve to the relay's address (DNS rebinding) stands in Host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

__all__ = ["host_name", "is_address_of", "is_own_host", "is_own_origin"]

_LOOPBACK: Final = frozenset({"localhost"})


def host_name(host: str) -> str:
    """The name or address in a Host header, in lower case; "" if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        good = parts.port is None or parts.port > 0
    except ValueError:
        return ""
    if not good or parts.netloc != host or "@" in host or not host.isascii():
        return ""
    return parts.hostname or ""


def is_own_host(host: str, names: Collection[str]) -> bool:
    """Whether a Host header is this relay's: an address, `localhost`, or one of its names.

    An address cannot be made to resolve to another one.
    """
    name = host_name(host)
    if not name:
        return False
    if name in _LOOPBACK or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_own_origin(origin: str, host: str, schemes: Iterable[str]) -> bool:
    """Whether an Origin header is that of a page which this relay has served under this Host."""
    return origin.lower() in {f"{scheme}://{host}".lower() for scheme in schemes}


def is_address_of(names: Collection[str], origin: str, host: str) -> bool:
    """Whether an Origin header only repeats where a program connects to, this relay: so the port for
    WebSockets has it from libraries such as websocket-client. A page would have come from there.
    """
    return is_own_host(host, names) and is_own_origin(origin, host, ("http", "https"))
