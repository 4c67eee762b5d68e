"""How the kernel reaches hosts: directly, by a network's NAT64, or through its proxy."""

from __future__ import annotations

import errno
import ipaddress
import math
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from clove.errors import PermissionDenied, Unavailable
from clove.kernel.network.dialling import dial
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.nat64 import Nat64
from clove.kernel.network.settings import EgressSettings, proxy_target
from clove.policy.domains import domain_rule
from clove.policy.hosts import as_address, normalise_host
from clove.sharing.shares import Shares

if TYPE_CHECKING:
    import ssl

    from twisted.internet.interfaces import IHostnameResolver

__all__ = ["WayOut", "is_direct"]

MOST_ADDRESSES: Final = 8
MOST_SUSPECTS: Final = 16
"""Names on the proxy's own port that are being looked up; one more is refused."""
INSPECTED: Final = (80, 443)
"""Ports on which clients speak as servers of the web do; docs/egress.md, SNI and Host."""
FRESH: Final = 30.0
"""Seconds for which the proxy's addresses are not looked up again."""


def is_direct(settings: EgressSettings, host: str, addresses: Sequence[str] = ()) -> bool:
    """Whether a host is reached without the proxy, also if there is one.

    @param host: in normal form.
    """
    if not settings.proxy or host == "localhost" or host.endswith(".localhost"):
        return True
    found = [host, *addresses]
    if any(ipaddress.ip_address(one).is_loopback for one in found if as_address(one)):
        return True
    return any(domain_rule(text).admits(one) for text in settings.no_proxy for one in found)


class WayOut:
    """Connects to hosts that were judged.

    @param resolver: for the proxy's own name; the reactor's where none is given.
    @raise InvalidRequest: the proxy's credentials cannot be read, or the certificates for it.
    """

    def __init__(
        self,
        reactor: Any,
        settings: EgressSettings | None = None,
        resolver: IHostnameResolver | None = None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings = settings or EgressSettings()
        self._nat64 = Nat64(settings.nat64) if settings.nat64 else None
        self._known = {normalise_host(name) for name in settings.hosts}
        self._proxy = proxy_target(settings.proxy) if settings.proxy else None
        self._tls: ssl.SSLContext | None = None
        if self._proxy is not None and self._proxy.scheme == "https":
            from clove.kernel.network.proxy_tls import proxy_context  # brings OpenSSL

            self._tls = proxy_context(settings.ca_file)
        self._credentials: tuple[str, str] | None = None
        self._addresses: list[str] = []
        self._found_at = -math.inf
        self._waiting: list[Deferred[list[str]]] = []
        self._is_looking = False
        if self._proxy is not None:
            from clove.kernel.network.proxy import proxy_credentials

            self._credentials = proxy_credentials(settings)
            shares = Shares("look-ups of the proxy", "", 1)
            names = resolver or reactor.nameResolver
            self._lookups = Lookups(names, shares, MOST_ADDRESSES)
            shares = Shares("look-ups of names on the proxy's port", "", MOST_SUSPECTS)
            self._suspects = Lookups(names, shares, MOST_ADDRESSES)

    def looks_up(self, host: str) -> bool:
        """Whether the kernel looks a name up, and judges its addresses; else the proxy does."""
        settings = self._settings
        return not settings.proxy_resolves or host in self._known or is_direct(settings, host)

    def meant_by(self, address: str) -> str:
        """What an address leads to here: by the network's NAT64 the IPv4 address in it, else itself."""
        return self._nat64.to_ipv4(address) if self._nat64 else address

    @property
    def has_proxy(self) -> bool:
        """Whether there is a proxy."""
        return self._proxy is not None

    @property
    def name_hint(self) -> str:
        """What to do about a name that has no address."""
        if self._proxy is None or self._settings.proxy_resolves:
            return "check the name"
        return "check the name; if the proxy alone can look it up, egress.proxy_resolves lets it"

    async def dial(
        self, host: str, addresses: Sequence[str], port: int, timeout: float
    ) -> socket.socket:
        """Connect to the first address that answers; a socket that does not block.

        @param host: in normal form.
        @param addresses: of the host, judged; none for a name that the proxy looks up.
        @param timeout: seconds for each attempt.
        @raise OSError: none answers; why the last did not.
        @raise Unavailable: the proxy does not connect.
        @raise PermissionDenied: it is the proxy itself.
        """
        proxy = self._proxy
        if proxy is None:
            return await self._direct(addresses, port, timeout)
        if port == proxy.port:
            await self._refuse_proxy(host, addresses or await self._suspected(host, timeout))
        if is_direct(self._settings, host, addresses):
            return await self._direct(addresses, port, timeout)
        failure: Exception = Unavailable(f"the name {host!r} has no address")
        for there in addresses or (host,):
            try:
                return await self._tunnel(there, port, timeout)
            except (Unavailable, OSError) as error:
                failure = error
        raise failure

    async def _direct(self, addresses: Sequence[str], port: int, timeout: float) -> socket.socket:
        failure: OSError = OSError(errno.EHOSTUNREACH, "No route to host")
        for address in addresses:
            try:
                return await dial(self._reactor, (address,), port, timeout)
            except OSError as error:
                failure = error
            translated = self._nat64.to_ipv6(address) if self._nat64 else None
            if translated is None or failure.errno != errno.ENETUNREACH:
                continue
            try:
                return await dial(self._reactor, (translated,), port, timeout)
            except OSError as error:
                failure = error
        raise failure

    async def _tunnel(self, there: str, port: int, timeout: float) -> socket.socket:
        from clove.kernel.network.proxy import perform_exchange
        from clove.proxies import connect_by_http, connect_by_socks

        proxy = self._proxy
        assert proxy is not None
        try:
            connection = await self._direct(await self._proxy_addresses(), proxy.port, timeout)
        except OSError as error:
            raise Unavailable(
                f"the proxy {proxy.netloc} cannot be reached: {error.strerror or error}"
            ) from None
        reactor = self._reactor
        connect = connect_by_socks if proxy.scheme == "socks5" else connect_by_http
        try:
            if self._tls is not None:
                from clove.kernel.network.proxy_tls import wrap_in_tls

                connection = await wrap_in_tls(reactor, connection, self._tls, proxy.host, timeout)
            exchange = connect(there, port, self._credentials)
            await perform_exchange(reactor, connection, exchange, timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _proxy_addresses(self) -> list[str]:
        """@raise Unavailable: the proxy's name has no address."""
        proxy = self._proxy
        assert proxy is not None
        if proxy.address is not None:
            return [proxy.host]
        now = self._reactor.seconds()
        if now - self._found_at <= FRESH:
            return self._addresses
        waiter: Deferred[list[str]] = Deferred(lambda one: self._waiting.remove(one))
        self._waiting.append(waiter)
        if not self._is_looking:  # all that wait share a look-up
            self._is_looking = True
            self._lookups.resolve(proxy.host, proxy.port, 0).addCallback(self._found)
        found = await waiter
        if not found:
            raise Unavailable(f"the proxy's name {proxy.host!r} has no address")
        return found

    def _found(self, addresses: list[str]) -> None:
        """The proxy's name was looked up."""
        self._is_looking = False
        if addresses:
            self._addresses, self._found_at = addresses, self._reactor.seconds()
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(addresses)

    async def _suspected(self, host: str, timeout: float) -> list[str]:
        """Addresses, as far as the kernel finds them, of what the proxy would look up on its own port.

        @raise PermissionDenied: there are none, and nothing else would keep a client on that port
            from having the proxy connect it to anything.
        """
        if as_address(host) is not None:
            return []
        proxy = self._proxy
        assert proxy is not None
        asked = self._suspects.resolve(host, proxy.port, 0)
        asked.addTimeout(timeout, self._reactor, lambda *_: [])
        found = await asked
        if not found and proxy.port not in INSPECTED:
            raise PermissionDenied(
                f"connection to {host}, which may be the kernel's proxy",
                rule="egress.proxy",
                hint=f"the proxy alone knows the name, and {proxy.port} is its own port; the "
                "operator can give the name an address in egress.hosts",
            )
        return found

    async def _refuse_proxy(self, host: str, addresses: Sequence[str]) -> None:
        """@raise PermissionDenied: it is the proxy, which would connect an agent to anything."""
        proxy = self._proxy
        assert proxy is not None
        own = {proxy.host, *await self._proxy_addresses()}
        if own & {host, *addresses}:
            raise PermissionDenied(
                f"connection to {host}, which is the kernel's proxy",
                rule="egress.proxy",
                hint="the kernel goes through it by itself",
            )
