"""Who has tried too many wrong tokens. Pure.

Nothing is to be learned from the answers to many attempts: after so many failures in a minute an
address is told to wait, whatever it tries next. A failure anywhere counts also for all; but an address
that has shown a valid token of late is kept out by its own failures alone, so a crowd of strangers
does not lock out those that belong here.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from typing import Final

import msgspec

from clove.errors import LockedOut

__all__ = ["LockOut", "LockOutLimits", "source_of"]

WINDOW: Final = 60.0
"""Seconds in which failures count together."""
_KNOWN_SECONDS: Final = 3600.0
"""Seconds for which an address counts as known after a valid token."""


class LockOutLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attempts with wrong tokens. An address is an IPv4 one, or the first 64 bits of an IPv6 one."""

    failures: int = 10
    """Of one address in a minute; then each attempt from it gets 429 with `Retry-After`, unlooked at."""
    all_failures: int = 1000
    """Of all addresses in a minute; then attempts from addresses that have shown no valid token in the
    last hour get the same."""
    addresses: int = 10_000
    """Addresses whose failures, and as many whose valid tokens, are remembered; the oldest is
    forgotten then."""


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


class LockOut:
    """Counts failures; times are seconds of a monotonic clock."""

    def __init__(self, limits: LockOutLimits | None = None) -> None:
        self._limits = limits or LockOutLimits()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()
        self._all: deque[float] = deque(maxlen=self._limits.all_failures)

    def check(self, source: str, now: float) -> None:
        """Whether an attempt from here may be looked at.

        @raise LockedOut: not now; C{retry_after} says when.
        """
        wait = _wait(self._failures.get(source), self._limits.failures, now)
        if not wait and not self._is_known(source, now):
            wait = _wait(self._all, self._limits.all_failures, now)
        if wait:
            raise LockedOut(
                "too many attempts with a token that is not valid",
                hint=f"wait {wait:.0f} s, then try again with a valid one",
                retry_after=wait,
            )

    def failed(self, source: str, now: float) -> None:
        """Count a failure."""
        times = self._failures.get(source)
        if times is None:
            times = self._failures[source] = deque(maxlen=self._limits.failures)
            if len(self._failures) > self._limits.addresses:
                self._failures.popitem(last=False)
        times.append(now)
        self._failures.move_to_end(source)
        self._all.append(now)

    def succeeded(self, source: str, now: float) -> None:
        """A valid token came from here. Its failures still count."""
        self._known[source] = now
        self._known.move_to_end(source)
        if len(self._known) > self._limits.addresses:
            self._known.popitem(last=False)

    def _is_known(self, source: str, now: float) -> bool:
        return now - self._known.get(source, -_KNOWN_SECONDS) < _KNOWN_SECONDS


def _wait(times: deque[float] | None, most: int, now: float) -> float:
    """Seconds until one more may fail."""
    if times is None or len(times) < most:
        return 0.0
    return max(0.0, times[0] + WINDOW - now)
