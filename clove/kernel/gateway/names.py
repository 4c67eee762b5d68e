"""The addresses that stand for names inside a sandbox. Pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

__all__ = ["RANGE", "Name", "Names"]

RANGE: Final = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for benchmarks (RFC 2544): never a host of the internet."""


class Name:
    """One name with its address.

    @ivar text: in normal form.
    @ivar address: what stands for it inside.
    @ivar found: what it resolved to outside, in the order to try.
    @ivar at: when that was, in the clock's seconds.
    """

    __slots__ = ("address", "at", "found", "text")

    def __init__(self, text: str, address: str) -> None:
        self.text = text
        self.address = address
        self.found: list[str] = []
        self.at = float("-inf")


class Names:
    """At most so many names; an address is not given again before all others were.

    @param most: fewer than half of the addresses of L{RANGE}.
    """

    def __init__(self, most: int) -> None:
        self._most = min(most, RANGE.num_addresses // 2)
        self._next = 0
        self._by_text: OrderedDict[str, Name] = OrderedDict()
        self._by_address: dict[str, Name] = {}

    def of(self, text: str) -> Name:
        """The name, with the address that it has or is now given."""
        name = self._by_text.get(text)
        if name is None:
            if len(self._by_text) >= self._most:
                _, oldest = self._by_text.popitem(last=False)
                del self._by_address[oldest.address]
            name = Name(text, self._free())
            self._by_text[text] = self._by_address[name.address] = name
        self._by_text.move_to_end(text)
        return name

    def standing_at(self, address: str) -> Name | None:
        """The name that an address stands for, if any."""
        name = self._by_address.get(address)
        if name is not None:
            self._by_text.move_to_end(name.text)
        return name

    def _free(self) -> str:
        while True:
            self._next = self._next % (RANGE.num_addresses - 2) + 1
            address = str(RANGE[self._next])
            if address not in self._by_address:
                return address
