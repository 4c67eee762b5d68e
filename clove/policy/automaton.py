"""Many wildcard patterns matched at once, in time linear in what is matched.

Shift-And (Baeza-Yates and Gonnet, "A new approach to text searching", 1992):
the states of all patterns are the bits of one integer, and one symbol moves all
of them. There is nothing to backtrack, so no pattern is slow. Paths use it
twice: with a path's segments as symbols, and with a segment's characters.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final

__all__ = ["LOOP", "Automaton", "Loop"]


class Loop:
    """Any number of symbols, of any kind, or none."""

    def __repr__(self) -> str:
        return "LOOP"


LOOP: Final = Loop()
"""The token for `*` among characters, `**` among segments."""


class Automaton:
    """Some patterns, each a sequence of tokens, ready to be run.

    Pattern number n owns a run of bits, one more than it has tokens; bit i of a
    run set means that its first i tokens are matched. Equal tokens stand for the same
    symbols; the caller knows which, and says with each symbol from where it may move on.

    @ivar where: of each token the bits in front of it.
    @ivar start: the states before the first symbol.
    @ivar ends: of each pattern the state at its end.
    @ivar bits: how many there are.
    """

    __slots__ = ("_accepting", "_loops", "_numbers", "bits", "ends", "start", "where")

    def __init__(self, patterns: Iterable[Sequence[Hashable]]) -> None:
        self.where: dict[Hashable, int] = {}
        self.start = 0
        self._loops = 0
        self._accepting = 0
        self.ends: list[int] = []
        self._numbers: dict[int, int] = {}
        at = 0
        for number, pattern in enumerate(patterns):
            self.start |= 1 << at
            previous: Hashable = None
            for token in pattern:
                if token is LOOP and previous is LOOP:
                    continue  # one closing step must do, so no loop follows a loop
                if token is LOOP:
                    self._loops |= 1 << at
                else:
                    self.where[token] = self.where.get(token, 0) | 1 << at
                previous = token
                at += 1
            self._accepting |= 1 << at
            self._numbers[1 << at] = number
            self.ends.append(1 << at)
            at += 1
        self.bits = at
        self.start = self.skip(self.start)

    def skip(self, states: int) -> int:
        """These states, and those behind loops that are left out."""
        return states | (states & self._loops) << 1

    def move(self, states: int, here: int) -> int:
        """The states after one more symbol.

        @param here: the bits in front of tokens that stand for the symbol.
        """
        looping = states & self._loops
        moved = (states & here) << 1 | looping
        return moved | (moved & self._loops) << 1

    def loop(self, states: int) -> int:
        """The states that any number of any symbols surely leads to, or none of them."""
        return self.skip(states & self._loops)

    def reached(self, states: int) -> int:
        """Of the states those at the end of a pattern."""
        return states & self._accepting

    def first(self, reached: int) -> int:
        """The number of the first pattern whose end was reached, or -1."""
        return self._numbers[reached & -reached] if reached else -1
