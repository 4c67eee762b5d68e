"""Who has tried too many wrong tokens and keys. Pure.

Nothing is to be learned from the answers to many attempts: after so many failures in a minute an
address is told to wait, whatever it tries next. A failure also counts for the network that the address
is in, for the machine that it claimed to be, and for all; but an address that has shown a valid token
or key of late is kept out by its own failures alone, so a crowd of strangers does not lock out those
that belong here.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from typing import Final

import msgspec

from clove.errors import LockedOut

__all__ = ["LockOut", "LockOutLimits", "network_of", "source_of"]

WINDOW: Final = 60.0
"""Seconds in which failures count together."""
_KNOWN_SECONDS: Final = 3600.0
"""Seconds for which an address counts as known after a valid token or key."""


class LockOutLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attempts with wrong tokens and keys. An address is an IPv4 one, or the first 64 bits of an IPv6 one."""

    failures: int = 10
    """Of one address in a minute; then each attempt from it gets 429 with `Retry-After`, unlooked at."""
    network_failures: int = 100
    """Of one network in a minute (24 bits of IPv4, 48 of IPv6); then attempts from addresses of it that
    have shown no valid token or key in the last hour get the same."""
    machine_failures: int = 10
    """Of those that claimed to be one machine, in a minute; then attempts for it from addresses from
    which it has not come in the last hour get the same."""
    all_failures: int = 1000
    """Of all addresses in a minute; then attempts from addresses that have shown no valid token or key in
    the last hour get the same."""
    addresses: int = 10_000
    """Addresses whose failures, as many networks and machines, and as many addresses whose valid tokens
    and keys are remembered; the oldest is forgotten then."""


def source_of(address: str) -> str:
    """What an address counts as: itself, or the network of 64 bits that one customer gets."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6:
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def network_of(source: str) -> str:
    """The network that an address (L{source_of}) is in; what is no address is one of its own."""
    try:
        network = ipaddress.ip_network(source)
    except ValueError:
        return source
    return str(network.supernet(new_prefix=24 if network.version == 4 else 48))


class _Failures:
    """Times of failures by what they are counted for; the oldest are forgotten.

    @param most: failures in a minute.
    @param entries: that are remembered.
    """

    def __init__(self, most: int, entries: int) -> None:
        self._most = most
        self._entries = entries
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def wait(self, name: str, now: float) -> float:
        """Seconds until one more may fail."""
        times = self._times.get(name)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + WINDOW - now)

    def add(self, name: str, now: float) -> None:
        """One more has failed."""
        times = self._times.get(name)
        if times is None:
            times = self._times[name] = deque(maxlen=self._most)
            if len(self._times) > self._entries:
                self._times.popitem(last=False)
        times.append(now)
        self._times.move_to_end(name)


class _Known:
    """What has come with a valid token or key of late; the oldest is forgotten.

    @param entries: that are remembered.
    """

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._times: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    def add(self, name: str, now: float) -> None:
        """It has."""
        self._times[name] = now
        self._times.move_to_end(name)
        if len(self._times) > self._entries:
            self._times.popitem(last=False)

    def has(self, name: str, now: float) -> bool:
        """Whether it has."""
        return now - self._times.get(name, -_KNOWN_SECONDS) < _KNOWN_SECONDS


class LockOut:
    """Counts failures; times are seconds of a monotonic clock."""

    def __init__(self, limits: LockOutLimits | None = None) -> None:
        limits = limits or LockOutLimits()
        most = limits.addresses
        self._addresses = _Failures(limits.failures, most)
        self._networks = _Failures(limits.network_failures, most)
        self._machines = _Failures(limits.machine_failures, most)
        self._all = _Failures(limits.all_failures, 1)
        self._known = _Known(most)
        self._known_machines = _Known(most)

    def check(self, source: str, now: float, machine: str = "") -> None:
        """Whether an attempt from here may be looked at.

        @param machine: that it claims to be.
        @raise LockedOut: not now; C{retry_after} says when.
        """
        wait = self._addresses.wait(source, now)
        if not self._known.has(source, now):
            network = self._networks.wait(network_of(source), now)
            wait = max(wait, network, self._all.wait("", now))
        if machine and not self._known_machines.has(_pair(source, machine), now):
            wait = max(wait, self._machines.wait(machine, now))
        if wait:
            raise LockedOut(
                "too many attempts with a token or key that is not valid",
                hint=f"wait {wait:.0f} s, then try again with a valid one",
                retry_after=wait,
            )

    def failed(self, source: str, now: float, machine: str = "") -> None:
        """Count a failure."""
        self._addresses.add(source, now)
        self._networks.add(network_of(source), now)
        self._all.add("", now)
        if machine:
            self._machines.add(machine, now)

    def succeeded(self, source: str, now: float, machine: str = "") -> None:
        """A valid token or key came from here. Its failures still count."""
        self._known.add(source, now)
        if machine:
            self._known_machines.add(_pair(source, machine), now)


def _pair(source: str, machine: str) -> str:
    return f"{source} {machine}"
