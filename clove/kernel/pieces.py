"""Work in pieces, so that what takes long does not hold up the reactor's loop. Pure.

A function that may take long is a generator: it yields between two pieces, each of a fraction of a millisecond,
and returns its result. What others change between two pieces it must be ready to find.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeAlias, TypeVar

from clove.kernel.answers import Answer

__all__ = ["InTurns", "Pieces", "at_once"]

T = TypeVar("T")

Pieces: TypeAlias = Generator[None, None, T]
"""Work that gives a T in the end."""


class InTurns(Protocol):
    """Does work in turns of the loop: L{clove.kernel.loop_time.LoopTime.in_turns}."""

    def __call__(self, work: Pieces[T], family: int) -> Answer[T]:
        """What the work gives: at once, where it does not take long.

        @param family: whose time it takes.
        """


def at_once(work: Pieces[T], family: int = 0) -> T:
    """Do it all, where nothing else waits for the loop."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
