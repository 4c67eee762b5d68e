"""Which way out this host has for the kernel, and with it for agents.

`python -m clove.kernel.network_check [CONFIG]` prints a JSON array of findings, for `clove doctor`:
{name, available, detail, remedy}. It asks the host's resolver for two names, and the configured
proxy for one connection; it sends nothing else.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as NotInTime
from twisted.internet.task import react

from clove.errors import CloveError, InvalidRequest
from clove.kernel.config import load
from clove.kernel.network.authorities import read_certificates
from clove.kernel.network.gateway.links import reason_of
from clove.kernel.network.host_resolver import host_resolver
from clove.kernel.network.lookups import Lookups
from clove.kernel.network.nat64 import prefix_in
from clove.kernel.network.settings import EgressSettings
from clove.kernel.network.way_out import WayOut
from clove.llm.options import DEFAULT_HOST
from clove.sharing.shares import Shares

__all__ = ["NetworkCheck", "main"]

SECONDS: Final = 5.0
"""For a look-up, or an answer of the proxy."""
ROOT_SERVER: Final = {socket.AF_INET: "198.41.0.4", socket.AF_INET6: "2001:503:ba3e::2:30"}
"""a.root-servers.net: nothing is sent to it, it is asked for a route."""
TRANSLATED: Final = "ipv4only.arpa"
"""What has IPv6 addresses only where a resolver makes them for NAT64 (RFC 7050)."""
VARIABLES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")

Finding = dict[str, Any]


def finding(name: str, available: bool, detail: str, remedy: str = "") -> Finding:
    """One line of the report."""
    return {
        "name": f"way_out.{name}",
        "available": available,
        "detail": detail,
        "remedy": remedy,
    }


class NetworkCheck:
    """Looks for the ways out.

    @param lookups: of the host's resolver, as it answers.
    """

    def __init__(
        self,
        reactor: Any,
        settings: EgressSettings,
        environ: Mapping[str, str],
        lookups: Lookups,
        way_out: WayOut,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._environ = environ
        self._lookups = lookups
        self._way_out = way_out

    async def findings(self) -> list[Finding]:
        """All of them."""
        routes = {family: route(address, family) for family, address in ROOT_SERVER.items()}
        prefix = prefix_in(await self._addresses(TRANSLATED))
        found = list(self._routes(routes, prefix))
        addresses = await self._addresses(DEFAULT_HOST)
        found.append(self._names(addresses))
        if prefix or self._settings.nat64 == "":
            found += self._translation(prefix)
        found += [await self._proxy(addresses)] if self._settings.proxy else self._ignored()
        return found

    def _routes(self, routes: Mapping[socket.AddressFamily, str], prefix: str) -> Iterator[Finding]:
        alone = (
            ""
            if any(routes.values()) or self._settings.proxy
            else (
                "connect this host to a network; until then agents with `network: true` reach loopback alone"
            )
        )
        four, six = routes[socket.AF_INET], routes[socket.AF_INET6]
        by_translation = bool(prefix and six and prefix == self._settings.nat64)
        how = f"from {four}" if four else "by NAT64" if by_translation else "no route"
        yield finding("ipv4", bool(four or by_translation), how, alone)
        yield finding("ipv6", bool(six), f"from {six}" if six else "no route", alone)

    def _names(self, addresses: list[str]) -> Finding:
        if not self._way_out.looks_up(DEFAULT_HOST):
            return finding("names", True, "the proxy looks them up")
        if addresses:
            return finding("names", True, f"{DEFAULT_HOST} is {addresses[0]}")
        remedy = "check /etc/resolv.conf"
        if self._settings.proxy:
            remedy += "; or let the proxy look names up: egress.proxy_resolves (docs/egress.md)"
        return finding("names", False, f"{DEFAULT_HOST} has no address here", remedy)

    def _translation(self, prefix: str) -> Iterator[Finding]:
        ours = self._settings.nat64
        if prefix == ours:
            yield finding("nat64", True, f"by {prefix}")
        elif prefix:
            remedy = f'set [egress] nat64 = "{prefix}"'
            yield finding("nat64", False, f"this network has it by {prefix}, not {ours}", remedy)

    async def _proxy(self, addresses: list[str]) -> Finding:
        where = f"{DEFAULT_HOST}:443"
        asked = addresses if self._way_out.looks_up(DEFAULT_HOST) else []
        try:
            connection = await self._way_out.dial(DEFAULT_HOST, asked, 443, SECONDS)
        except (CloveError, OSError) as error:
            remedy = "check [egress] of the configuration (docs/egress.md)"
            return finding("proxy", False, reason_of(error), remedy)
        connection.close()
        return finding("proxy", True, f"{self._settings.proxy} connects to {where}")

    def _ignored(self) -> list[Finding]:
        """A proxy that other programs use."""
        named = [name for name in VARIABLES if self._environ.get(name)]
        if not named:
            return [finding("proxy", False, "none is configured")]
        remedy = 'set [egress] proxy = "http://HOST:PORT"; `clove doctor --config FILE` tries it'
        detail = f"{named[0]} names one, and the kernel does not look at the environment"
        return [finding("proxy", False, detail, remedy)]

    async def _addresses(self, host: str) -> list[str]:
        """What the host's resolver says in time."""
        found = self._lookups.resolve(host, 443, 0)
        try:
            return await found.addTimeout(SECONDS, self._reactor)
        except NotInTime:
            return []


def route(address: str, family: socket.AddressFamily) -> str:
    """The address of this host from which another is reached; "" without a route."""
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((address, 53))  # sends nothing
        except OSError:
            return ""
        return str(asked.getsockname()[0])


async def check(reactor: Any, config: str | None) -> list[Finding]:
    """The findings for a configuration; without one, for the defaults."""
    resolver, pool = host_resolver(reactor, 4)
    pool.start()
    try:
        settings = load(config).egress
        if settings.ca_file:
            read_certificates(settings.ca_file)
        way_out = WayOut(reactor, settings, resolver)
        lookups = Lookups(resolver, Shares("names", "", 4), 16)
        return await NetworkCheck(reactor, settings, os.environ, lookups, way_out).findings()
    except InvalidRequest as error:
        return [finding("configuration", False, error.message, error.hint)]
    finally:
        pool.stop()


def main(argv: Sequence[str]) -> None:
    """Check, print, exit.

    @param argv: perhaps a configuration file.
    """

    async def report(reactor: Any) -> None:
        print(json.dumps(await check(reactor, argv[0] if argv else None)))

    def run(reactor: Any) -> Deferred[None]:
        return ensureDeferred(report(reactor))

    react(run, ())


if __name__ == "__main__":
    main(sys.argv[1:])
