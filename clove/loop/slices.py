"""Long walks in turns of the reactor that stay short."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, TypeVar

from twisted.internet.task import deferLater

__all__ = ["SLICE", "in_slices"]

SLICE: Final = 256
"""Members that are looked at in one turn: a millisecond or so."""

T = TypeVar("T")


async def in_slices(
    members: Iterable[T], clock: Any, most: int = SLICE
) -> AsyncIterator[tuple[T, ...]]:
    """The members that there are now, some at a time; between two slices the reactor serves others.

    So what a later slice tells of a member may have changed meanwhile, and the member may be gone.
    """
    kept = tuple(members)
    for first in range(0, len(kept), most):
        if first:
            await deferLater(clock, 0)
        yield kept[first : first + most]
