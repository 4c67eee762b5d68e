"""The addresses that stand for names inside a sandbox. Pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

__all__ = ["RANGE", "MappedName", "SyntheticAddresses"]

RANGE: Final = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for benchmarks (RFC 2544): never a host of the internet."""


class MappedName:
    """One name with its address.

    @ivar host: in normal form.
    @ivar address: what stands for it inside.
    @ivar resolved: what it resolved to outside, in the order to try.
    @ivar resolved_at: when that was, in the clock's seconds.
    """

    __slots__ = ("address", "host", "resolved", "resolved_at")

    def __init__(self, host: str, address: str) -> None:
        self.host = host
        self.address = address
        self.resolved: list[str] = []
        self.resolved_at = float("-inf")


class SyntheticAddresses:
    """At most so many names; an address is not given again before all others were.

    @param most: fewer than half of the addresses of L{RANGE}.
    """

    def __init__(self, most: int) -> None:
        self._most = min(most, RANGE.num_addresses // 2)
        self._next = 0
        self._by_host: OrderedDict[str, MappedName] = OrderedDict()
        self._by_address: dict[str, MappedName] = {}

    def allocate(self, host: str) -> MappedName:
        """The name, with the address that it has or is now given."""
        name = self._by_host.get(host)
        if name is None:
            if len(self._by_host) >= self._most:
                _, oldest = self._by_host.popitem(last=False)
                del self._by_address[oldest.address]
            name = MappedName(host, self._free_address())
            self._by_host[host] = self._by_address[name.address] = name
        self._by_host.move_to_end(host)
        return name

    def host_at(self, address: str) -> MappedName | None:
        """The name that an address stands for, if any."""
        name = self._by_address.get(address)
        if name is not None:
            self._by_host.move_to_end(name.host)
        return name

    def _free_address(self) -> str:
        while True:
            self._next = self._next % (RANGE.num_addresses - 2) + 1
            address = str(RANGE[self._next])
            if address not in self._by_address:
                return address
