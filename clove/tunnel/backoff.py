"""How long to wait before the next attempt to reach a relay. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["REFUSED_SECONDS", "Backoff"]

REFUSED_SECONDS: Final = 300.0
"""The longest pause of a machine that its relay refuses."""


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

    def next_pause(self, *, refused: bool = False) -> float:
        """Seconds until the next attempt: from half of what it grows to up to all of it.

        @param refused: the relay does not know us: it grows to L{REFUSED_SECONDS}, so that a machine
            that was removed does not have its whole network locked out.
        """
        longest = REFUSED_SECONDS if refused else self._longest
        most = min(longest, self._first * (1 << self._failures))
        self._failures = min(self._failures + 1, 30)
        return most * (0.5 + 0.5 * self._random())

    def succeeded(self) -> None:
        """Begin again."""
        self._failures = 0
