"""Many wildcard patterns matched at once, in time linear in what is matched.

Shift-And (Baeza-Yates and Gonnet, "A new approach to text searching", 1992):
the states of all patterns are the bits of one integer, and one symbol moves all
of them. There is nothing to backtrack, so no pattern is slow. Globs use it
twice: with a path's segments as symbols, and with a segment's characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

__all__ = ["LOOP", "Automaton", "Token", "Wild"]


class Wild(Protocol):
    """A token that stands for more than one symbol. Hashed by identity."""

    def matches(self, symbol: str) -> bool:
        """Does it stand for this symbol?"""
        ...

    def covers(self, other: Wild) -> bool:
        """Surely stands for every symbol that the other one stands for."""
        ...


class _Loop:
    """Any number of symbols, of any kind, or none."""

    def matches(self, symbol: str) -> bool:
        return True

    def covers(self, other: Wild) -> bool:
        return True


LOOP = _Loop()
"""The token for `*` among characters, `**` among segments."""

Token = str | Wild


class Automaton:
    """Some patterns, each a sequence of tokens, ready to be run.

    Pattern number n owns a run of bits, one more than it has tokens; bit i of a
    run set means that its first i tokens are matched.
    """

    __slots__ = ("_accept", "_accepting", "_literals", "_loops", "_start", "_wilds")

    def __init__(self, patterns: Sequence[Sequence[Token]]) -> None:
        self._literals: dict[str, int] = {}
        self._wilds: dict[Wild, int] = {}
        self._loops = 0
        self._start = 0
        self._accept: list[int] = []
        at = 0
        for pattern in patterns:
            self._start |= 1 << at
            previous: Token | None = None
            for token in pattern:
                if token is LOOP and previous is LOOP:
                    continue  # one closing step must do, so no loop follows a loop
                self._add(token, 1 << at)
                previous = token
                at += 1
            self._accept.append(1 << at)
            at += 1
        self._start = self._close(self._start)
        self._accepting = sum(self._accept)

    def _add(self, token: Token, bit: int) -> None:
        if token is LOOP:
            self._loops |= bit
        elif isinstance(token, str):
            self._literals[token] = self._literals.get(token, 0) | bit
        else:
            self._wilds[token] = self._wilds.get(token, 0) | bit

    def _close(self, states: int) -> int:
        return states | (states & self._loops) << 1

    def _moved(self, states: int, symbol: str) -> int:
        """The states after one more symbol."""
        movable = self._literals.get(symbol, 0) & states
        for wild, bits in self._wilds.items():
            if states & bits and wild.matches(symbol):
                movable |= bits & states
        return self._close(movable << 1 | states & self._loops)

    def match(self, symbols: Iterable[str], *, beneath: bool = False) -> int:
        """The number of the first pattern that matches all of the symbols, or -1.

        @param beneath: also where it matches only the first symbols of them.
        """
        states = self._start
        seen = states
        for symbol in symbols:
            states = self._moved(states, symbol)
            if not states:
                break
            seen |= states
        reached = (seen if beneath else states) & self._accepting
        if not reached:
            return -1
        for number, bit in enumerate(self._accept):
            if reached & bit:
                return number
        return -1

    def covers(self, pattern: Iterable[Token]) -> bool:
        """Surely matches everything that the pattern matches. May say no too often.

        The states that are kept are those that every text of the pattern leads to.
        """
        states = self._start
        for token in pattern:
            if token is LOOP:
                states = self._close(states & self._loops)
                continue
            if isinstance(token, str):
                states = self._moved(states, token)
                continue
            movable = sum(bits for wild, bits in self._wilds.items() if wild.covers(token))
            states = self._close((states & movable) << 1 | states & self._loops)
        return bool(states & self._accepting)
