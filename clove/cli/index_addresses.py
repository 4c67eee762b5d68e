"""Package indexes at addresses that are not public: in a company's network, or on this host.

The kernel dials such an address only if a rule names the address itself (docs/egress.md), so that no answer of
a resolver opens an inner host. So a server that is to get such a rule here has to prove that it is the index.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

__all__ = ["HOSTS", "IndexServer", "known_hosts", "proves_name", "special_addresses"]

HOSTS: Final = "/etc/hosts"
PATIENCE: Final = 3.0
"""Seconds for a server to show its certificate."""
_MOST: Final = 4
"""Addresses of one name that are looked at."""


class IndexServer(NamedTuple):
    """A server of packages.

    @ivar configured: the user's configuration names it; else it is a usual one.
    """

    host: str
    port: int
    tls: bool
    configured: bool


def known_hosts(path: str) -> dict[str, list[str]]:
    """Names and addresses of a file such as /etc/hosts."""
    found: dict[str, list[str]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError:
        return {}
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name.lower(), []).append(address)
    return found


def special_addresses(
    server: IndexServer, known: Mapping[str, list[str]], authorities: Sequence[str]
) -> Iterator[str]:
    """Addresses of an index that are not public. Looks up its name, and connects there.

    One counts if this host's own table says so, else if the server proves its name with a certificate
    that the user trusts; without TLS, if the configuration names the server. Loopback counts only where this
    host itself says so, and a link-local address (of a metadata service, say) never does.

    @param known: names that this host knows by itself.
    @param authorities: files of certificates that are trusted beside the host's.
    """
    if _address(server.host) is not None:
        return  # the rule of its name is one of an address
    own = server.host == "localhost" or server.host in known
    for text in _addresses(server, known):
        address = _address(text.partition("%")[0])
        if address is None or address.is_global or address.is_link_local:
            continue
        if address.is_unspecified or address.is_multicast or (address.is_loopback and not own):
            continue
        if own or (proves_name(server, text, authorities) if server.tls else server.configured):
            yield str(address)


def _addresses(server: IndexServer, known: Mapping[str, list[str]]) -> Iterable[str]:
    if server.host in known:
        return known[server.host][:_MOST]
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError:  # the program will say that there is no such host
        return ()
    return sorted({str(each[4][0]) for each in found})[:_MOST]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def proves_name(server: IndexServer, address: str, authorities: Iterable[str]) -> bool:
    """Does what listens there have a certificate for the server's name?"""
    import ssl  # not for every start

    try:
        context = ssl.create_default_context()
        for path in authorities:
            context.load_verify_locations(path)
        with (
            socket.create_connection((address, server.port), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=server.host),
        ):
            return True
    except (OSError, ValueError):  # no such file, no answer, no certificate
        return False
