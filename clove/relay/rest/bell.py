"""Waiting for something to change, without saying what."""

from __future__ import annotations

from twisted.internet.defer import Deferred

__all__ = ["Bell"]


class Bell:
    """Wakes those that wait; one that rings before somebody waits is not remembered."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """Fires when it rings next; may be cancelled."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def ring(self) -> None:
        """Wake all that wait."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
