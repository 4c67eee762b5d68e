"""Whose attempt is next: each family has its turn, and in it each caller. Pure.

A family is an agent with all that it spawned, at any remove, so that nobody comes by more
turns by having children.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass

__all__ = ["Turn", "Turns"]


@dataclass(eq=False, frozen=True, slots=True)
class Turn:
    """One attempt of somebody, waiting or under way.

    @ivar family: see L{clove.kernel.principal.Principal}.
    """

    family: int
    caller: int


class Turns:
    """One line for each caller; a caller and a family that were served go to the back.

    Who bounds a caller's turns (`per_caller`) bounds what waits here.
    """

    def __init__(self, at_once: int, per_family: int) -> None:
        self._at_once = at_once
        self._per_family = per_family
        self._lines: OrderedDict[int, OrderedDict[int, deque[Turn]]] = OrderedDict()
        self._under_way: set[Turn] = set()
        self._of_family: Counter[int] = Counter()

    def wait(self, turn: Turn) -> None:
        """Stand at the end of its caller's line."""
        callers = self._lines.setdefault(turn.family, OrderedDict())
        callers.setdefault(turn.caller, deque()).append(turn)

    def next(self) -> Turn | None:
        """The turn that comes now, and is under way from here on; None: nobody's."""
        if len(self._under_way) >= self._at_once:
            return None
        for family, callers in self._lines.items():
            if self._of_family[family] < self._per_family:
                caller, line = next(iter(callers.items()))
                turn = line[0]
                callers.move_to_end(caller)
                self._lines.move_to_end(family)
                self._remove(turn)
                self._under_way.add(turn)
                self._of_family[family] += 1
                return turn
        return None

    def leave(self, turn: Turn) -> None:
        """It is over, or given up before it came."""
        if turn not in self._under_way:
            self._remove(turn)
            return
        self._under_way.remove(turn)
        self._of_family[turn.family] -= 1
        if not self._of_family[turn.family]:
            del self._of_family[turn.family]

    def _remove(self, turn: Turn) -> None:
        """Take it out of its line, if it stands in one."""
        callers = self._lines.get(turn.family, OrderedDict())
        line = callers.get(turn.caller, deque())
        if turn not in line:
            return
        line.remove(turn)
        if not line:
            del callers[turn.caller]
        if not callers:
            del self._lines[turn.family]
