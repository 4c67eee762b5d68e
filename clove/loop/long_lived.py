"""Keeps the collector of cycles from going over what stays, again and again."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

__all__ = ["MADE", "LongLived"]

MADE: Final = 100
"""Long-lived objects after which they are taken out of the collector's rounds."""

COLLECTED: Final = 100_000
"""And after which all that was taken out is looked through."""


class LongLived:
    """Of a daemon that has thousands of peers: a full collection would take 20 us for each of them, in one turn
    of its reactor.

    What is taken out is freed when it has ended, as everything without cycles is (tests make sure that tunnels and
    remote agents leave none), and otherwise only by a collection of all, which comes seldom.

    @param made: how many there have been so far.
    """

    def __init__(self, made: Callable[[], int]) -> None:
        self._made = made
        self._kept = self._collected = 0

    def look(self) -> None:
        """To be called now and then."""
        made = self._made()
        if made - self._kept < MADE:
            return
        self._kept = made
        if made - self._collected >= COLLECTED:
            self._collected = made
            gc.unfreeze()
            gc.collect()
        gc.freeze()
