"""How often each of many may do something: a token bucket for each. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

__all__ = ["RateLimiter"]

LOOKED_OVER: Final = 1024
"""Buckets at which the full ones are forgotten; a full one is as good as none."""


class RateLimiter:
    """Token buckets, each as the time at which it is full again (ITU-T I.371, GCRA).

    @param rate: tokens a second.
    @param burst: what a bucket holds.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._gap = 1 / rate
        self._most = burst / rate
        self._full: dict[Hashable, float] = {}
        self._look_over = LOOKED_OVER

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until there is a token; 0 if there is one.

        @param now: seconds, monotonic.
        """
        full = self._full.get(key)
        return 0.0 if full is None else max(0.0, full + self._gap - now - self._most)

    def room(self, key: Hashable, now: float) -> int:
        """Tokens that are there."""
        ahead = max(0.0, self._full.get(key, now) - now)
        return int((self._most - ahead) / self._gap + 1e-6)

    def take(self, key: Hashable, now: float, count: int = 1) -> None:
        """Take tokens, also such as are not there yet."""
        self._full[key] = max(now, self._full.get(key, now)) + count * self._gap
        if len(self._full) >= self._look_over:
            self._full = {key: full for key, full in self._full.items() if full > now}
            self._look_over = max(LOOKED_OVER, 2 * len(self._full))
