"""How long to wait before the next attempt to reach a relay. Pure."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Twice as long after each failure, with a random part, so that a fleet does not come at once.

    @param random: a number from 0 up to 1.
    @param first: seconds, of the first pause.
    @param longest: seconds.
    """

    def __init__(
        self, random: Callable[[], float], *, first: float = 0.25, longest: float = 30.0
    ) -> None:
        self._random = random
        self._first = first
        self._longest = longest
        self._failures = 0

    def next_pause(self) -> float:
        """Seconds until the next attempt: from half of what it grows to up to all of it."""
        most = min(self._longest, self._first * (1 << self._failures))
        self._failures = min(self._failures + 1, 30)
        return most * (0.5 + 0.5 * self._random())

    def succeeded(self) -> None:
        """Begin again."""
        self._failures = 0
