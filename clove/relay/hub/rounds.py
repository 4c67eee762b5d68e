"""Members that are asked once in each round, a slice of them at a time. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Rounds"]

M = TypeVar("M")


class Rounds(Generic[M]):
    """Each member has its slice, so the time from one of its turns to the next is a whole round.

    @param slices: of about the same size, since they are chosen by hashes.
    """

    def __init__(self, slices: int) -> None:
        self._slices: list[dict[Hashable, M]] = [{} for _ in range(slices)]
        self._at = 0

    def __len__(self) -> int:
        return len(self._slices)

    def put(self, key: Hashable, member: M) -> None:
        """A member, in the place of an earlier one with this key."""
        self._slice(key)[key] = member

    def discard(self, key: Hashable) -> None:
        """No member any more."""
        self._slice(key).pop(key, None)

    def next_slice(self) -> list[M]:
        """Those whose turn it is."""
        self._at = (self._at + 1) % len(self._slices)
        return list(self._slices[self._at].values())

    def _slice(self, key: Hashable) -> dict[Hashable, M]:
        return self._slices[hash(key) % len(self._slices)]
