"""A queue that is served in turns along the ancestry of the callers that wait. Pure.

Each item has a path: the ids from its family (see L{clove.sharing.shares}) down to the agent that
asks. Turns are shared level by level: each family has its turn; in a family's turn the first agent's
own items and each of its children, with all below it, come one after the other; and so on. So
an agent's wait does not depend on how much others ask, and no agent has more turns by having children.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from clove.sharing.shares import OPERATORS, ShareLimits, divide

__all__ = ["FairQueue", "Path", "Queued"]

Path = tuple[int, ...]
"""Ids from a family down to one of its agents; the first is the family's."""


class Queued(Protocol):
    """What can wait; each is equal to itself alone.

    @ivar path: of the caller; never empty.
    """

    @property
    def path(self) -> Path:
        """See the class."""


Q = TypeVar("Q", bound=Queued)


class _Node(Generic[Q]):
    """A path at or below which something waits.

    @ivar size: how many items do.
    @ivar turns: the next part of their paths, in the order of turns. None: they wait at this very
        path, in a node of their own.
    @ivar line: of such a node: what waits in it.
    """

    __slots__ = ("line", "size", "turns")

    def __init__(self, key: int | None = 0) -> None:
        self.size = 0
        self.turns: OrderedDict[int | None, _Node[Q]] = OrderedDict()
        self.line: deque[Q] | None = deque() if key is None else None


class FairQueue(Generic[Q]):
    """Items that wait, and those in service.

    @param at_once: items in service at most.
    @param per_family: of these, one family's at most; operators have no such bound.
    @param for_operators: of these, how many only operators can have.
    """

    def __init__(self, at_once: int, per_family: int, for_operators: int = 0) -> None:
        self._at_once = at_once
        self._for_agents = at_once - for_operators
        self._per_family = per_family
        self._root: _Node[Q] = _Node()
        self._in_service: set[Q] = set()
        self._of_family: dict[int, int] = {}

    @classmethod
    def shared(cls, at_once: int, limits: ShareLimits) -> FairQueue[Q]:
        """A queue for something that is divided as L{ShareLimits} say."""
        kept, per_family = divide(at_once, limits)
        return cls(at_once, per_family, kept)

    def __len__(self) -> int:
        """How many wait."""
        return self._root.size

    def __iter__(self) -> Iterator[Q]:
        """All that wait, in no order that means anything."""
        for line in self._lines(lambda _: True):
            yield from line

    def waiting(self, path: Path) -> int:
        """How many wait at a path and below it."""
        node = self._find(path)
        return 0 if node is None else node.size

    def waiting_at(self, path: Path) -> int:
        """How many wait at this very path."""
        node = self._find((*path, None))
        return 0 if node is None else node.size

    def add(self, item: Q) -> None:
        """Let an item wait behind all others of its path."""
        node = self._root
        node.size += 1
        for key in (*item.path, None):
            below = node.turns.get(key)
            if below is None:
                below = node.turns[key] = _Node(key)
            below.size += 1
            node = below
        assert node.line is not None
        node.line.append(item)

    def next(self, may: Callable[[Q], bool] | None = None) -> Q | None:
        """Take the next item in turn into service.

        @param may: asked at most once for each path, about the first item that waits there; one
            that may not is passed over, with all behind it, and keeps its turn.
        @return: None: none may go now.
        """
        if not self._root.size or len(self._in_service) >= self._at_once:
            return None
        for line in self._lines(self._family_may):
            item = line[0]
            if may is None or may(item):
                line.popleft()
                self._count_off(item.path, served=True)
                self._serve(item)
                return item
        return None

    def start(self, item: Q) -> bool:
        """Take a new item into service at once where none waits, as L{add} and L{next} would.

        @return: False: it cannot go now; L{add} it.
        """
        if (
            self._root.size
            or len(self._in_service) >= self._at_once
            or not self._family_may(item.path[0])
        ):
            return False
        self._serve(item)
        return True

    def _serve(self, item: Q) -> None:
        family = item.path[0]
        self._in_service.add(item)
        self._of_family[family] = self._of_family.get(family, 0) + 1

    def finish(self, item: Q) -> bool:
        """An item's service is over; False if it was in none."""
        if item not in self._in_service:
            return False
        self._in_service.remove(item)
        family = item.path[0]
        self._of_family[family] -= 1
        if not self._of_family[family]:
            del self._of_family[family]
        return True

    def withdraw(self, item: Q) -> bool:
        """Take out an item that waits, given up before its turn; False if it does not wait."""
        node = self._find((*item.path, None))
        line = None if node is None else node.line
        if line is None or item not in line:
            return False
        line.remove(item)
        self._count_off(item.path)
        return True

    def _find(self, path: tuple[int | None, ...]) -> _Node[Q] | None:
        """The node at a path, if something waits there."""
        node: _Node[Q] | None = self._root
        for key in path:
            if node is None:
                break
            node = node.turns.get(key)
        return node

    def _family_may(self, family: int | None) -> bool:
        """Is there room in service for one more of a family?"""
        if family == OPERATORS:
            return True
        if len(self._in_service) >= self._for_agents:
            return False
        return self._of_family.get(family or 0, 0) < self._per_family

    def _lines(self, family_may: Callable[[int | None], bool]) -> Iterator[deque[Q]]:
        """What waits at each path, in the order in which their turns come."""
        turns = self._root.turns
        families = (below for family, below in turns.items() if family_may(family))
        levels: list[Iterator[_Node[Q]]] = [families]
        while levels:
            below = next(levels[-1], None)
            if below is None:
                levels.pop()
            elif below.line is not None:
                yield below.line
            else:
                levels.append(iter(below.turns.values()))

    def _count_off(self, path: Path, *, served: bool = False) -> None:
        """One item less waits at a path; forget where none does.

        @param served: it had its turn: those beside the path, at each level, come before it now.
        """
        node = self._root
        node.size -= 1
        for key in (*path, None):
            below = node.turns[key]
            below.size -= 1
            if not below.size:
                del node.turns[key]
                return
            if served:
                node.turns.move_to_end(key)
            node = below
