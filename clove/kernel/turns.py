"""Whose turn is next: each family has its turn, and in it each caller. Pure.

A family is an agent with all that it spawned, at any remove (see L{clove.kernel.shares}), so
that nobody comes by more turns by having children.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from clove.kernel.shares import OPERATORS, ShareLimits, divide

__all__ = ["Lines", "Turn", "Turns", "Waiting"]


class Waiting(Protocol):
    """What can wait.

    @ivar family: see L{clove.kernel.principal.Principal}.
    @ivar caller: in whose line of the family it stands.
    """

    @property
    def family(self) -> int:
        """See the class."""

    @property
    def caller(self) -> int:
        """See the class."""


W = TypeVar("W", bound=Waiting)


class Lines(Generic[W]):
    """One line for each caller; a caller and a family that were served go to the back."""

    def __init__(self) -> None:
        self._lines: OrderedDict[int, OrderedDict[int, deque[W]]] = OrderedDict()
        self._waiting: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._waiting.total()

    def __iter__(self) -> Iterator[W]:
        for callers in self._lines.values():
            for line in callers.values():
                yield from line

    def of(self, family: int, caller: int | None = None) -> int:
        """How many items of a family wait, or of a caller in it."""
        if caller is None:
            return self._waiting[family]
        callers = self._lines.get(family)
        return len(callers.get(caller, ())) if callers is not None else 0

    def add(self, item: W) -> None:
        """Let an item wait at the end of its caller's line."""
        callers = self._lines.setdefault(item.family, OrderedDict())
        callers.setdefault(item.caller, deque()).append(item)
        self._waiting[item.family] += 1

    def take(self, family_may: Callable[[int], bool], may: Callable[[W], bool]) -> W | None:
        """Take out the next item that may go.

        @param family_may: asked at most once for each family.
        @param may: asked at most once for each caller, about its first item.
        """
        for family, callers in self._lines.items():
            if not family_may(family):
                continue
            for caller, line in callers.items():
                if may(line[0]):
                    item = line[0]
                    callers.move_to_end(caller)
                    self._lines.move_to_end(family)
                    self.remove(item)
                    return item
        return None

    def remove(self, item: W) -> bool:
        """Take an item out of its line; False if it does not stand in one."""
        callers = self._lines.get(item.family)
        line = callers.get(item.caller) if callers is not None else None
        if callers is None or not line:
            return False
        if line[0] is item:
            line.popleft()
        elif item in line:
            line.remove(item)
        else:
            return False
        self._waiting[item.family] -= 1
        if not line:
            del callers[item.caller]
        if not callers:
            del self._lines[item.family]
            del self._waiting[item.family]
        return True


@dataclass(eq=False, frozen=True, slots=True)
class Turn:
    """One turn of somebody, waiting or under way.

    @ivar family: see L{clove.kernel.principal.Principal}.
    """

    family: int
    caller: int


class Turns:
    """So many turns at a time, so many of them one family's.

    Who bounds a caller's turns (L{of}) bounds what waits here.

    @param at_once: turns under way at most.
    @param per_family: of these, turns of one family; operators have no such bound.
    @param for_operators: of these, turns that only operators can have.
    """

    def __init__(self, at_once: int, per_family: int, for_operators: int = 0) -> None:
        self._at_once = at_once
        self._for_agents = at_once - for_operators
        self._per_family = per_family
        self._lines: Lines[Turn] = Lines()
        self._under_way: set[Turn] = set()
        self._of_family: Counter[int] = Counter()

    @classmethod
    def shared(cls, at_once: int, limits: ShareLimits) -> Turns:
        """Turns at something that is divided as L{ShareLimits} say."""
        kept, per_family = divide(at_once, limits)
        return cls(at_once, per_family, kept)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._lines)

    def of(self, family: int, caller: int | None = None) -> int:
        """How many turns of a family wait, or of a caller in it."""
        return self._lines.of(family, caller)

    def wait(self, turn: Turn) -> None:
        """Stand at the end of its caller's line."""
        self._lines.add(turn)

    def next(self) -> Turn | None:
        """The turn that comes now, and is under way from here on; None: nobody's."""
        if len(self._under_way) >= self._at_once:
            return None
        turn = self._lines.take(self._may, _any)
        if turn is not None:
            self._under_way.add(turn)
            self._of_family[turn.family] += 1
        return turn

    def _may(self, family: int) -> bool:
        if family == OPERATORS:
            return True
        if len(self._under_way) >= self._for_agents:
            return False
        return self._of_family[family] < self._per_family

    def leave(self, turn: Turn) -> None:
        """It is over, or given up before it came."""
        if turn not in self._under_way:
            self._lines.remove(turn)
            return
        self._under_way.remove(turn)
        self._of_family[turn.family] -= 1
        if not self._of_family[turn.family]:
            del self._of_family[turn.family]


def _any(turn: Turn) -> bool:
    return True
