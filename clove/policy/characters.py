"""Wildcards within one segment of a path: `*`, `?` and `[...]`. Pure.

All segments with wildcards of a list of patterns are matched together, in one
pass over a segment's characters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple

from clove.errors import InvalidRequest, LimitExceeded
from clove.policy.automaton import LOOP, Automaton

__all__ = ["MAX_POINTS", "SegmentGlobs", "characters"]

MAX_POINTS: Final = 1024
"""Boundaries between characters that the wildcards of one list tell apart; more are a
LimitExceeded. A letter needs two, a class as many as it has ends of ranges."""
_LAST: Final = 0x10FFFF


class _Any:
    """`?`: one character."""

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = _Any()

Ranges = tuple[tuple[int, int], ...]


class _Class(NamedTuple):
    """`[a-z_]` or `[!a-z]`: one character of a set.

    @ivar ranges: code points, first and last, ascending and apart from each other.
    """

    ranges: Ranges


def _class(text: str) -> _Class:
    negated = text[0] in "!^"
    body = text[1:] if negated else text
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(body):
        if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
            if body[at] <= body[at + 2]:
                found.append((ord(body[at]), ord(body[at + 2])))
            at += 3
        else:
            found.append((ord(body[at]), ord(body[at])))
            at += 1
    merged = _merged(found)
    return _Class(_others(merged) if negated else tuple(merged))


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _others(ranges: Iterable[tuple[int, int]]) -> Ranges:
    found = []
    at = 0
    for first, last in ranges:
        if at < first:
            found.append((at, first - 1))
        at = last + 1
    if at <= _LAST:
        found.append((at, _LAST))
    return tuple(found)


def characters(text: str) -> tuple[Hashable, ...]:
    """A segment's pattern as tokens over characters.

    @raise InvalidRequest: a bracket is not closed.
    """
    found: list[Hashable] = []
    at = 0
    while at < len(text):
        one = text[at]
        at += 1
        if one == "*":
            found.append(LOOP)
        elif one == "?":
            found.append(ANY)
        elif one == "[":
            # The first character of a class may be a bracket: []a] and [!]a].
            end = text.find("]", at + 2 if text[at : at + 1] in ("!", "^") else at + 1)
            if end < 0:
                raise InvalidRequest(f"a [ without its ] in the pattern {text[:80]!r}")
            found.append(_class(text[at:end]))
            at = end + 1
        else:
            found.append(one)
    return tuple(found)


class SegmentGlobs:
    """Some patterns of segments, ready to be matched at once.

    @ivar ends: of each pattern the bit that says that it matches.
    """

    __slots__ = ("_any", "_automaton", "_here", "_points", "ends")

    def __init__(self, patterns: Sequence[Sequence[Hashable]]) -> None:
        """@raise LimitExceeded: they tell too many characters apart."""
        self._automaton = Automaton(patterns)
        self._any = self._automaton.where.get(ANY, 0)
        self.ends = self._automaton.ends
        # Which tokens stand for a character changes at some code points only. There the
        # bits that begin or end to count are turned over.
        turns: dict[int, int] = {}
        for token, bits in self._automaton.where.items():
            for first, last in _ranges(token):
                for point in (first, last + 1):
                    turns[point] = turns.get(point, 0) ^ bits
        turns.pop(_LAST + 1, None)
        if len(turns) > MAX_POINTS:
            raise LimitExceeded(
                "path patterns with wildcards that tell too many characters apart",
                hint="use fewer classes and wildcards",
            )
        self._points: list[str] = []
        self._here = [self._any]
        for point in sorted(turns):
            self._points.append(chr(point))
            self._here.append(self._here[-1] ^ turns[point])

    def match(self, segment: str) -> int:
        """The ends of those that match; a step for each character."""
        automaton, points, here = self._automaton, self._points, self._here
        states = automaton.start
        move = automaton.move
        for one in segment:
            states = move(states, here[bisect_right(points, one)])
            if not states:
                return 0
        return automaton.reached(states)

    def covering(self, pattern: Sequence[Hashable]) -> int:
        """The ends of those that surely match all that a pattern matches; a step a token.

        The states that are kept are those that every text of the pattern leads to.
        """
        automaton = self._automaton
        states = automaton.start
        for token in pattern:
            if token is LOOP:
                states = automaton.loop(states)
            elif isinstance(token, str):
                here = self._here[bisect_right(self._points, token)]
                states = automaton.move(states, here)
            else:
                here = automaton.where.get(token, 0) | self._any
                states = automaton.move(states, here)
        return automaton.reached(states)


def _ranges(token: Hashable) -> Ranges:
    if isinstance(token, str):
        return ((ord(token), ord(token)),)
    return token.ranges if isinstance(token, _Class) else ()
