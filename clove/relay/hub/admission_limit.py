"""How many connections are admitted at once. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["AT_ONCE", "PATIENCE", "AdmissionLimit"]

AT_ONCE: Final = 32
"""Connections that are being admitted: with more, the next waits to be accepted."""
PATIENCE: Final = 0.25
"""Seconds after which one that says nothing does not hold up others any more."""


class AdmissionLimit:
    """When a fleet comes back at once, what has been accepted has been begun, and all that has been begun takes turns
    with the requests of all others. What is not accepted yet waits in the operating system, and costs nothing.

    @param seconds: the time now; measures.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._begun: dict[object, float] = {}

    def begin(self) -> Callable[[], None]:
        """A connection was accepted; gives what is to be called when it was admitted, or is gone."""
        key = object()
        self._begun[key] = self._seconds()
        return lambda: self._end(key)

    def _end(self, key: object) -> None:
        self._begun.pop(key, None)

    @property
    def is_full(self) -> bool:
        """The next is to wait."""
        if len(self._begun) < AT_ONCE:
            return False
        old = self._seconds() - PATIENCE
        while self._begun:
            key = next(iter(self._begun))
            if self._begun[key] > old:
                break
            del self._begun[key]
        return len(self._begun) >= AT_ONCE
