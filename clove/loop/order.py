"""In which order a turn serves the descriptors that are ready. Pure.

epoll gives them in the order in which they became ready, so a client that asks now and then comes behind all
connections of one that has many and asks without end: beside 64 of them its NOOP took 478 us, and 55 to 80 in peace.
Those that were not ready in the turn before come first: then it took 106 to 237 us, the rest of the turn that is
under way when it asks. All are served in the same turn in any case, so none is kept waiting by others that come first.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FEW", "NewcomersFirst"]

FEW: Final = 8
"""Descriptors for which the order does not matter."""

Ready = list[tuple[int, int]]


class NewcomersFirst:
    """Remembers which descriptors were ready in the turn before, if these were many."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: dict[int, int] = {}

    def arrange(self, ready: Ready) -> Ready:
        """What is ready, as (descriptor, event), in the order in which it is to be served."""
        if len(ready) <= FEW:
            self._before = {}
            return ready
        before, now = self._before, dict(ready)
        self._before = now
        if now.keys() <= before.keys():  # as in nearly all turns of a flood: looked at by C alone
            return ready
        first = [each for each in ready if each[0] not in before]
        if len(first) == len(ready):
            return ready
        return first + [each for each in ready if each[0] in before]
