"""What is kept of many families until there is no room for it. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Eviction"]

K = TypeVar("K", bound=Hashable)


class Eviction(Generic[K]):
    """Sizes of things, by family, the oldest first; tells what must go.

    A family past its share, or else the one that has most, loses its oldest.

    @param total: the most that all may have.
    @param per_family: the most that one family may have.
    """

    def __init__(self, total: int, per_family: int) -> None:
        self._total = total
        self._per_family = per_family
        self._sizes: dict[int, OrderedDict[K, int]] = {}
        self._family: dict[K, int] = {}
        self._of: Counter[int] = Counter()
        self._used = 0

    def add(self, thing: K, family: int, size: int) -> list[K]:
        """Keep one more; gives those that make room for it, which are kept no longer."""
        self._sizes.setdefault(family, OrderedDict())[thing] = size
        self._family[thing] = family
        self._of[family] += size
        self._used += size
        gone: list[K] = []
        while self._of[family] > self._per_family:
            gone.append(self._drop_oldest(family))
        while self._used > self._total:
            gone.append(self._drop_oldest(max(self._of, key=self._of.__getitem__)))
        return gone

    def _drop_oldest(self, family: int) -> K:
        oldest = next(iter(self._sizes[family]))
        self.remove(oldest)
        return oldest

    def remove(self, thing: K) -> None:
        """Keep one no longer, if it is kept."""
        family = self._family.pop(thing, None)
        if family is None:
            return
        sizes = self._sizes[family]
        size = sizes.pop(thing)
        self._used -= size
        self._of[family] -= size
        if not sizes:
            del self._sizes[family], self._of[family]
