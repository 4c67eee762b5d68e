"""How many connections one agent has, and which gives way when there is no room for one more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from clove.kernel.network.gateway.splice import Splice

__all__ = ["SAY_AGAIN", "Crowd", "CrowdLimits"]

SAY_AGAIN: Final = 60.0
"""Seconds until the agent's log is told again that connections wait."""


class CrowdLimits(Protocol):
    """The bounds of a crowd.

    @ivar connections: how many there may be.
    @ivar spare: seconds after which a connection is idle.
    """

    @property
    def connections(self) -> int:
        """See the class."""

    @property
    def spare(self) -> float:
        """See the class."""


class Crowd:
    """The connections of one gateway.

    Pools of clients keep connections that they have no use for: of those, whose last byte was the
    server's, the one that has been idle for longest ends for a new one. A request that waits for its
    answer is no such connection.

    @param splices: gives the connections that are carried.
    @param resume: has waiting connections looked at again.
    @param log: takes a line for the agent's log.
    @ivar count: connections, those included that are being made.
    """

    def __init__(
        self,
        clock: Any,
        limits: CrowdLimits,
        splices: Callable[[], Iterable[Splice]],
        resume: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self.count = 0
        self._clock = clock
        self._limits = limits
        self._splices = splices
        self._resume = resume
        self._log = log
        self._said: float | None = None
        self._look: Any = None

    def has_room(self) -> bool:
        """May one more be taken? If there is an idle one, that ends for it."""
        if self.count < self._limits.connections:
            return True
        now = self._clock.seconds()
        waited = {splice: splice.idle_since(now) for splice in self._splices()}
        longest = max(waited, key=lambda one: waited[one], default=None)
        if longest is not None and waited[longest] >= self._limits.spare:
            longest.abort()
            return True
        self._say(now)
        if self._look is None:
            left = self._limits.spare - (waited[longest] if longest is not None else 0)
            self._look = self._clock.callLater(max(left, 0.05), self._look_again)
        return False

    def _say(self, now: float) -> None:
        if self._said is not None and now - self._said < SAY_AGAIN:
            return
        self._said = now
        self._log(
            f"all {self._limits.connections} connections are in use: more wait until one ends, or "
            f"has been idle for {self._limits.spare:g} s"
        )

    def _look_again(self) -> None:
        self._look = None
        self._resume()

    def close(self) -> None:
        """Idempotent."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
