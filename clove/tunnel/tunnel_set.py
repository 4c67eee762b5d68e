"""The tunnels of one machine: to the relay that it has joined, and to others that share that one's database.

All prove the same key as the same instance, and only once the first has joined: the others get no token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clove.tunnel.identity import Identity
    from clove.tunnel.target import Target
    from clove.tunnel.tunnel import Tunnel

__all__ = ["MOST_TUNNELS", "TunnelSet"]

MOST_TUNNELS = 4
"""Of one machine."""


class TunnelSet:
    """Tunnels that start and stop together; what is told of them is what is told of the best of them."""

    def __init__(self, identity: Identity, first: Tunnel, others: Sequence[Tunnel] = ()) -> None:
        self._identity = identity
        self._first = first
        self._others = others
        self._begun = self._stopped = False

    @property
    def all(self) -> list[Tunnel]:
        """The first one first."""
        return [self._first, *self._others]

    @property
    def best(self) -> Tunnel:
        """The first that is connected, or the first."""
        return next((each for each in self.all if each.connected), self._first)

    @property
    def target(self) -> Target:
        """Of the best."""
        return self.best.target

    @property
    def connected(self) -> bool:
        """One is."""
        return self.best.connected

    @property
    def changed(self) -> float:
        """Since when, of the best."""
        return self.best.changed

    @property
    def problem(self) -> str:
        """Why none is connected."""
        return self.best.problem

    @property
    def channels(self) -> int:
        """Of remote callers, now."""
        return sum(each.channels for each in self.all)

    def start(self) -> None:
        """Begin to connect."""
        self._first.joined = self._start_others
        self._first.start()
        if self._identity.relay_id:
            self._start_others()

    def _start_others(self) -> None:
        if not (self._begun or self._stopped):
            self._begun = True
            for each in self._others:
                each.start()

    def stop(self) -> None:
        """Close all. Idempotent."""
        self._stopped = True
        for each in self.all:
            each.stop()
