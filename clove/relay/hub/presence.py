"""Whether a machine answers, and since when. Pure."""

from __future__ import annotations

from typing import Literal

__all__ = ["Presence", "PresenceState"]

PresenceState = Literal["connected", "stale", "disconnected"]


class Presence:
    """Of one tunnel. Intervals are measured; dates are for people.

    @param interval: seconds between two pings.
    """

    __slots__ = ("_answered", "_begun", "_cut", "_interval", "_wall")

    def __init__(self, interval: float, now: float, wall: float) -> None:
        self._interval = interval
        self._answered = now
        self._begun = self._wall = wall
        self._cut: float | None = None

    def answered(self, now: float, wall: float) -> None:
        """It has answered a ping, or has just proved who it is."""
        if self.state(now) != "connected":
            self._begun = wall
        self._answered, self._wall, self._cut = now, wall, None

    def cut(self, wall: float) -> None:
        """Its connection is gone."""
        if self._cut is None:
            self._cut = wall

    def state(self, now: float) -> PresenceState:
        """What it is now."""
        silent = now - self._answered
        if self._cut is not None or silent > 4 * self._interval:
            return "disconnected"
        return "stale" if silent > 2 * self._interval else "connected"

    def since(self, now: float) -> float:
        """When that began, in seconds since the epoch."""
        state = self.state(now)
        if state == "connected":
            return self._begun
        if self._cut is not None:
            return self._cut
        return self._wall + (2 if state == "stale" else 4) * self._interval
