"""The `[egress]` section of the configuration. Pure."""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from clove.errors import InvalidRequest
from clove.kernel.network.nat64 import WELL_KNOWN, Nat64
from clove.policy import normalise_host
from clove.policy.domains import domain_rule
from clove.policy.hosts import Target, parse_url, split_port

__all__ = ["EgressSettings", "proxy_target"]


class EgressSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the kernel finds and reaches the hosts that agents name, and its model."""

    hosts: dict[str, str] = {}
    """Host name to its one address, before the resolver of the host is asked. An address
    that is not public needs a rule in `allowed_domains` that names it, as always."""
    proxy: str = ""
    """`http://HOST:PORT` of a proxy that everything goes through (by CONNECT), `https://HOST:PORT` if TLS is
    spoken with it, or `socks5://HOST:PORT`; empty: none. Never taken from the environment."""
    proxy_credentials_file: str = ""
    """A file with `USER:PASSWORD` for the proxy, which not all users may read."""
    proxy_resolves: bool = False
    """The proxy gets names, and looks them up; then nobody here judges the addresses that it finds
    (docs/egress.md). False: it gets an address that the kernel has looked up and judged."""
    no_proxy: tuple[str, ...] = ()
    """What is reached without the proxy: `api.corp.example`, `*.corp.example`, `10.0.0.0/8`. The host's
    own loopback always is."""
    ca_file: str = ""
    """Certificates in PEM that `http`, the model service and programs in sandboxes trust beside the
    host's."""
    nat64: str = WELL_KNOWN
    """The prefix by which this network reaches IPv4 through IPv6 (RFC 6052): an address under it is
    judged as the IPv4 address in it. Empty: none."""

    def __post_init__(self) -> None:
        """@raise ValueError: a name, an address or a URL makes no sense."""
        try:
            for name, address in self.hosts.items():
                normalise_host(name)
                ipaddress.ip_address(address)
            for text in self.no_proxy:
                _check_pattern(text)
            if self.proxy:
                proxy_target(self.proxy)
            elif self.proxy_credentials_file or self.proxy_resolves or self.no_proxy:
                raise InvalidRequest("proxy_… and no_proxy mean nothing without `proxy`")
            if self.nat64:
                Nat64(self.nat64)
        except InvalidRequest as error:
            raise ValueError(": ".join(filter(None, (error.message, error.hint)))) from None


_OTHERS: Final = {
    "socks5h": "write socks5://HOST:PORT, and proxy_resolves = true if the proxy shall look names up",
    "socks4": "SOCKS 5 alone has names, IPv6 and passwords",
}


def proxy_target(url: str) -> Target:
    """Where a proxy is.

    @raise InvalidRequest: not of the form `http://HOST:PORT`, or that with `https` or `socks5`.
    """
    if "@" in url:
        raise InvalidRequest(
            "the proxy's URL must not hold credentials: use proxy_credentials_file"
        )
    scheme, mark, rest = url.partition("://")
    if scheme.lower() == "socks5" and mark:
        target = parse_url(f"http://{rest}")._replace(scheme="socks5")
    else:
        target = parse_url(url)
    if target.scheme not in ("http", "https", "socks5"):
        raise InvalidRequest(
            f"a proxy is reached by http://, https:// or socks5://HOST:PORT, not {target.scheme}",
            hint=_OTHERS.get(target.scheme, "there are no others"),
        )
    if target.path != "/" or split_port(rest.strip("/"))[1] is None:
        raise InvalidRequest(
            f"a proxy is {target.scheme}://HOST:PORT, with a port and nothing behind it"
        )
    return target


def _check_pattern(text: str) -> None:
    """@raise InvalidRequest: it is no host, pattern or network."""
    if "/" not in text and split_port(text)[1] is not None:
        raise InvalidRequest(f"no_proxy has hosts without ports: {text[:80]!r}")
    domain_rule(text)
