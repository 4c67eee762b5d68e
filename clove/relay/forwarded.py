"""Which address a request came from, where something in front of the relay hands it on. Pure.

A proxy that is trusted says so in `X-Forwarded-For` or `Forwarded` (RFC 7239), behind what the client
has sent in these headers itself: so they are read from the right, past proxies that are trusted as well, and
the first hop that is not is the client. Where both headers are there they have to agree: a proxy
writes one of them, and the other may be the client's. What cannot be understood counts as the proxy's own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from clove.errors import InvalidRequest

__all__ = ["Proxies"]

MOST_HOPS: Final = 64
"""Hops that are looked at; more are not understood."""
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR: Final = re.compile(rf'\s*({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")\s*(;|,|\Z)')
_ADDRESS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?")


class Proxies:
    """Proxies that are trusted to say where a request came from.

    @param networks: such as `10.0.0.0/8` or `192.0.2.7`.
    @raise InvalidRequest: one of them is no network.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(_network(each) for each in networks)

    def trusts(self, address: str) -> bool:
        """Whether this is one of them."""
        found = _address(address)
        return found is not None and any(found in each for each in self._networks)

    def client(
        self, peer: str, forwarded_for: Sequence[str] = (), forwarded: Sequence[str] = ()
    ) -> str:
        """The address of the client of a connection from an address.

        @param forwarded_for: the values of X-Forwarded-For, a line each.
        @param forwarded: those of Forwarded.
        """
        if not self.trusts(peer):
            return peer
        found = {
            self._outermost(peer, hops)
            for lines, hops in (
                (forwarded_for, _listed(forwarded_for)),
                (forwarded, _described(forwarded)),
            )
            if lines
        }
        return found.pop() if len(found) == 1 else peer

    def _outermost(self, peer: str, hops: list[str] | None) -> str:
        """The right-most hop that is not trusted; the last one that is, where there is none."""
        if hops is None or len(hops) > MOST_HOPS:
            return peer
        last = peer
        for hop in reversed(hops):
            address = _hop(hop)
            if address is None:
                return last
            last = address
            if not self.trusts(address):
                return last
        return last


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is no network", hint="such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"
        ) from None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _hop(text: str) -> str | None:
    """The address in a hop, without its port; None: it has none."""
    text = text.strip()
    match = _ADDRESS.fullmatch(text)
    found = _address((match[1] or match[2]) if match else text)
    return None if found is None else str(found)


def _listed(lines: Sequence[str]) -> list[str]:
    """The hops of X-Forwarded-For."""
    return [hop for line in lines for hop in line.split(",")]


def _described(lines: Sequence[str]) -> list[str] | None:
    """The hops of Forwarded; None: it is malformed."""
    text, at = ", ".join(lines), 0
    hops, hop = list[str](), ""
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        name, value, end = pair.groups()
        if name.lower() == "for":
            if hop:
                return None
            hop = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        at = pair.end()
        if end != ";":
            hops.append(hop)
            hop = ""
        elif at == len(text):
            return None
    return hops
