"""Admission of connections: how many there may be for each user, and how often new ones come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clove.errors import LimitExceeded
from clove.sharing.rate_limiter import RateLimiter
from clove.sharing.shares import OPERATORS, Shares

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from clove.kernel.connection.limits import ConnectionLimits
    from clove.sharing.shares import ShareLimits

__all__ = ["CONNECTIONS_FIELD", "Admission"]

CONNECTIONS_FIELD = "limits.connection.max_connections"


class Admission:
    """Counts the open connections.

    @ivar rate: how often those that are no operators connect, by family.
    """

    def __init__(
        self, clock: IReactorTime, limits: ConnectionLimits, shares: ShareLimits | None
    ) -> None:
        self._clock = clock
        self._limits = limits
        self.rate = RateLimiter(limits.connects, limits.connects_at_once)
        # What is kept for operators has a field of its own: operator_connections.
        self._open = Shares(
            "connections", CONNECTIONS_FIELD, limits.max_connections, shares, reserve=False
        )

    def check_rate(self, family: int) -> None:
        """@raise LimitExceeded: it connects too often."""
        now = self._clock.seconds()
        if self.rate.wait(family, now) > 0:
            raise LimitExceeded(
                "you connect too often",
                hint="keep connections, and use them again; limits.connection.connects",
            )
        self.rate.take(family, now)

    def check_room(self, have: int, family: int) -> None:
        """
        @param have: connections that this caller, or this guest's user, has already.
        @raise LimitExceeded: there are too many connections.
        """
        limits, operator = self._limits, family == OPERATORS
        kept = 0 if operator else min(limits.operator_connections, limits.max_connections // 4)
        room = limits.max_connections - kept
        if self._open.used >= room:
            raise LimitExceeded(
                f"the kernel has {self._open.used} connections already",
                hint="raise limits.connection.max_connections, or close some",
            )
        if not operator and have >= limits.max_connections_per_agent:
            raise LimitExceeded(
                f"you have {have} connections already",
                hint="close some, or share one between threads",
            )
        refusal = self._open.refusal(family)
        if refusal is not None:
            raise refusal

    def add(self, family: int) -> None:
        """A connection was let in."""
        self._open.add(family)

    def remove(self, family: int) -> None:
        """It is gone."""
        self._open.give(family)
