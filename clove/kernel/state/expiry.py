"""What expires when. Pure."""

from __future__ import annotations

from math import inf

from clove.kernel.state.sorted_blocks import SortedBlocks
from clove.messages.state import Scope

__all__ = ["Due", "Expiry"]

Due = tuple[float, int, Scope, str]
"""When a key expires (second of the kernel's clock), the id that owns its space, scope and key. A plain
tuple: the collector of cycles does not track those for long."""


class Expiry:
    """The keys that expire, by time; each as often as it is there, so one that is stored again and again, or
    deleted, leaves nothing behind that would have to be looked through.
    """

    def __init__(self) -> None:
        self._dues: SortedBlocks[Due] = SortedBlocks()
        self.next = inf
        """None is due before this (infinity: there are none)."""

    def __len__(self) -> int:
        return len(self._dues)

    def add(self, due: Due) -> None:
        """One more."""
        self._dues.add(due)
        if due[0] < self.next:
            self.next = due[0]

    def remove(self, due: Due) -> None:
        """It is stored anew, or gone."""
        self._dues.remove(due)
        if due[0] == self.next:
            self._find_next()

    def first(self, now: float) -> Due | None:
        """The first that is due."""
        return self._dues.first if self.next <= now else None

    def _find_next(self) -> None:
        first = self._dues.first
        self.next = inf if first is None else first[0]
