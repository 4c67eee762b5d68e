"""Which hosts an agent may talk to by HTTP.

A rule is one of

 - `api.example.com`: that host;
 - `*.example.com`: every host beneath it, not itself; `*`: every host name;
 - `192.0.2.1`, `10.0.0.0/8`, `[fd00::/8]`: addresses;

each with `:port` or, without one, for ports 80 and 443. An empty list allows
every public host on every port.

A name is judged twice: itself, and the address that it resolves to. A public
address needs no more than the rule of its name. Any other (private, loopback,
link-local, metadata ...) needs a rule that names the address, or a network
within that range, so no name can be pointed at it (DNS rebinding); a metadata
service needs a rule with exactly its address. `localhost` names loopback.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Final, NamedTuple

from clove.errors import InvalidRequest
from clove.policy.addresses import Network, special_range
from clove.policy.hosts import Address, Target, as_address, normalise_host, parse_url, split_port
from clove.policy.permissions import Decision, Permissions, check_flag
from clove.policy.work import Work

__all__ = [
    "METHODS",
    "DomainRule",
    "check_address",
    "check_connection",
    "check_method",
    "check_name",
    "check_url",
    "domain_rule",
    "domains_within",
    "ports_named",
    "rules_of_domains",
]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that there are."""
WEB_PORTS: Final = frozenset((80, 443))
EVERY_NAME: Final = "."


class Span(NamedTuple):
    """A network as numbers, and the special range that holds all of it."""

    version: int
    low: int
    high: int
    special: tuple[Network, str] | None


def _span(network: Network) -> Span:
    return Span(
        network.version,
        int(network.network_address),
        int(network.broadcast_address),
        special_range(network),
    )


class DomainRule(NamedTuple):
    """One rule, parsed. Exactly one of C{name}, C{beneath} and C{network} is set.

    @ivar name: an exact host name.
    @ivar beneath: a suffix such as `.example.com`, or L{EVERY_NAME}.
    @ivar ports: the ports it opens.
    @ivar span: of a network its version, lowest and highest address and L{special_range}.
    """

    text: str
    name: str
    beneath: str
    network: Network | None
    ports: frozenset[int]
    span: Span | None = None

    def admits(self, host: str) -> bool:
        """Does it match this host (in normal form), as a name or an address?"""
        if self.network is not None:
            address = as_address(host)
            return address is not None and address in self.network
        if self.name:
            return host == self.name
        return as_address(host) is None and (
            self.beneath == EVERY_NAME or host.endswith(self.beneath)
        )

    def opens(self, address: Address) -> bool:
        """May this address, which is not public, be dialled under this rule?"""
        special = special_range(address)
        if self.name == "localhost":
            return special is not None and special[1] == "loopback"
        return (
            self.network is not None
            and address in self.network
            and special_range(self.network) == special
        )

    def covers(self, other: DomainRule) -> bool:
        """Surely admits and opens all that the other rule does."""
        if not other.ports <= self.ports:
            return False
        if other.span is not None:
            return (
                self.span is not None
                and self.span.version == other.span.version
                and self.span.low <= other.span.low
                and other.span.high <= self.span.high
                and self.span.special == other.span.special
            )
        if other.name:
            if other.name == "localhost":
                return self.name == "localhost"
            return self.admits(other.name)
        return self.beneath == EVERY_NAME or (
            bool(self.beneath) and other.beneath.endswith(self.beneath)
        )


@functools.lru_cache(maxsize=1024)
def domain_rule(text: str) -> DomainRule:
    """Parse a rule.

    @raise InvalidRequest: it makes no sense.
    """
    hint = "such as api.example.com, *.example.com, example.com:8443, 10.0.0.0/8 or [::1]:8080"
    try:
        host, port = split_port(text)
        ports = WEB_PORTS if port is None else frozenset((port,))
        if "/" in host:
            network = ipaddress.ip_network(host.strip("[]"))
            return DomainRule(text, "", "", network, ports, _span(network))
        if host == "*":
            return DomainRule(text, "", EVERY_NAME, None, ports)
        if host.startswith("*."):
            suffix = normalise_host(host[2:])
            if as_address(suffix) is not None:
                raise InvalidRequest("an address has no hosts beneath it")
            return DomainRule(text, "", "." + suffix, None, ports)
        host = normalise_host(host)
    except (InvalidRequest, ValueError) as error:
        raise InvalidRequest(f"bad domain rule {text[:80]!r}: {error}", hint=hint) from None
    address = as_address(host)
    if address is not None:
        network = ipaddress.ip_network(address)
        return DomainRule(text, "", "", network, ports, _span(network))
    return DomainRule(text, host, "", None, ports)


@functools.lru_cache(maxsize=256)
def rules_of_domains(texts: tuple[str, ...]) -> tuple[DomainRule, ...]:
    """A list, parsed: one look-up, however many rules agents have thought up meanwhile.

    @raise InvalidRequest: a rule makes no sense.
    """
    return tuple(map(domain_rule, texts))


def domains_within(texts: tuple[str, ...], others: tuple[str, ...], work: Work) -> tuple[str, ...]:
    """The rules that surely grant no more than a list of rules does (empty: public hosts only).

    @raise LimitExceeded: there is too much to compare.
    """
    if not others:
        return tuple(rule.text for rule in rules_of_domains(texts) if _is_public(rule))
    granted = frozenset(others)
    work.spend(sum(text not in granted for text in texts) * len(others) // 2)
    wide = rules_of_domains(others)
    return tuple(
        rule.text
        for rule in rules_of_domains(texts)
        if rule.text in granted or any(other.covers(rule) for other in wide)
    )


def _is_public(rule: DomainRule) -> bool:
    if rule.span is not None:
        return rule.span.special is None
    return rule.name != "localhost"


def check_url(permissions: Permissions, method: str, url: str) -> tuple[Decision, Target]:
    """May this request be made, as far as its text tells? The address is checked later.

    @return: the decision, and the target in normal form, which is what must be used.
    @raise InvalidRequest: see L{parse_url}.
    """
    target = parse_url(url)
    decision = check_flag(permissions, "can_http")
    if not decision.allowed:
        return decision, target
    if target.scheme not in ("http", "https"):
        return Decision(False, f"scheme: {target.scheme[:32]}", "use http or https"), target
    decision = check_method(permissions, method)
    if not decision.allowed:
        return decision, target
    return _check_host(permissions, target), target


def check_method(permissions: Permissions, method: str) -> Decision:
    """May HTTP requests of this method be made?"""
    if method not in METHODS:
        return Decision(False, "http-method", f"use one of {', '.join(METHODS)}")
    allowed = permissions.allowed_http_methods
    if allowed and method not in allowed:
        return Decision(False, "allowed_http_methods", f"allowed are {', '.join(allowed)}")
    return Decision(True, "allowed_http_methods")


def _check_host(permissions: Permissions, target: Target) -> Decision:
    if not permissions.allowed_domains:
        return Decision(True, f"level: {permissions.level.value}")
    other_port = ""
    for rule in rules_of_domains(permissions.allowed_domains):
        if rule.admits(target.host):
            if target.port in rule.ports:
                return Decision(True, f"allowed_domains: {rule.text}")
            other_port = rule.text
    if other_port:
        hint = f"the rule {other_port} does not open port {target.port}"
    else:
        hint = f"allowed are {', '.join(permissions.allowed_domains[:8])}"
    return Decision(False, "allowed_domains", hint)


def check_name(permissions: Permissions, host: str) -> Decision:
    """May a program ask for the address of this host, as it may connect to some port of it?

    @param host: in normal form.
    """
    decision = check_flag(permissions, "can_http")
    if not decision.allowed or not permissions.allowed_domains:
        return decision
    for rule in rules_of_domains(permissions.allowed_domains):
        if rule.admits(host):
            return Decision(True, f"allowed_domains: {rule.text}")
    hint = f"allowed are {', '.join(permissions.allowed_domains[:8])}"
    return Decision(False, "allowed_domains", hint)


def check_connection(permissions: Permissions, host: str, port: int) -> Decision:
    """May this host be connected to, as far as its name tells? The address is checked later.

    @param host: in normal form.
    """
    decision = check_flag(permissions, "can_http")
    if not decision.allowed:
        return decision
    return _check_host(permissions, Target("tcp", host, port, ""))


def ports_named(permissions: Permissions) -> tuple[int, ...]:
    """The ports that rules open, and those of the web."""
    return _ports(permissions.allowed_domains)


@functools.lru_cache(maxsize=256)
def _ports(domains: tuple[str, ...]) -> tuple[int, ...]:
    rules = rules_of_domains(domains)
    return tuple(sorted(WEB_PORTS.union(*(rule.ports for rule in rules))))


def check_address(permissions: Permissions, host: str, port: int, ip: str) -> Decision:
    """May the kernel dial this address for a host that L{check_url} allowed?

    @param host: in normal form.
    @param ip: one address that the host resolved to.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return Decision(False, "address", "the resolver gave something that is no address")
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return Decision(False, "address: zone", "an address with a zone is never dialled")
    special = special_range(address)
    if special is None:
        return Decision(True, "address: public")
    for rule in rules_of_domains(permissions.allowed_domains):
        if port in rule.ports and rule.opens(address):
            # localhost opens loopback for the name localhost alone
            if rule.network is None and host != rule.name:
                continue
            return Decision(True, f"allowed_domains: {rule.text}")
    return Decision(
        False,
        f"address: {special[1]}",
        f"{address} is not public; a rule in allowed_domains that names it with its port would "
        f"allow it",
    )
