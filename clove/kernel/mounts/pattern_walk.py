"""Path patterns followed from directory to directory, name by name. Pure.

A check asks whether one path matches; a search for all paths that match needs
to know where it is worth to look. The states are those of a nondeterministic
automaton: how far into which pattern one has come.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from clove.policy.automaton import LOOP, Loop
from clove.policy.globs import HOMES, Token, expand_home, is_plain, kernel_home, segments, tokens

__all__ = [
    "Pattern",
    "PatternWalk",
    "States",
    "allowed_pattern",
    "blocked_pattern",
    "blocked_patterns",
    "prefix_of",
]

States = frozenset[tuple[int, int]]
"""Pattern number and how many of its tokens are behind."""


class Pattern(msgspec.Struct, frozen=True):
    """A pattern to follow.

    @ivar text: as the permissions have it.
    @ivar tokens: one a segment; L{LOOP} stands for any number of segments.
    @ivar directory: it means a directory; nothing else matches.
    """

    text: str
    tokens: tuple[Token, ...]
    directory: bool = False


def prefix_of(pattern: str) -> str:
    """The directory or file that the segments before the first wildcard name."""
    found: list[str] = []
    for part in segments("/**" if pattern == "*" or pattern.startswith("**/") else pattern):
        if not is_plain(part):
            break
        found.append(part)
    return "/" + "/".join(found)


def allowed_pattern(text: str) -> Pattern:
    """An allowed path: without a wildcard it means all beneath it as well.

    @param text: with `~` already expanded.
    """
    sequence = tuple(tokens(text))
    return Pattern(text, (*sequence, LOOP) if is_plain(text) else sequence)


def blocked_patterns(texts: Iterable[str]) -> list[Pattern]:
    """Blocked paths, each for every home that its `~` may stand for."""
    homes = list(dict.fromkeys([kernel_home(), *HOMES]))
    return [
        blocked_pattern(text, expanded) for text in texts for expanded in expand_home(text, homes)
    ]


def blocked_pattern(text: str, expanded: str) -> Pattern:
    """A blocked path, which takes all beneath it along.

    Where all that is in a directory is blocked, the directory is what to look for.

    @param text: as the permissions have it.
    @param expanded: with a home in the place of `~`.
    """
    short = expanded
    while short.endswith("/**"):
        short = short.removesuffix("/**")
    directory = short.endswith("/*")
    return Pattern(text, tuple(tokens(short.removesuffix("/*") or "/")), directory)


class PatternWalk:
    """Some patterns, followed together."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = list(patterns)

    def start(self) -> States:
        """Before the first segment."""
        return self._close((number, 0) for number in range(len(self._patterns)))

    def _close(self, states: Iterable[tuple[int, int]]) -> States:
        found: set[tuple[int, int]] = set()
        for number, at in states:
            found.add((number, at))
            sequence = self._patterns[number].tokens
            while at < len(sequence) and sequence[at] is LOOP:
                at += 1
                found.add((number, at))
        return frozenset(found)

    def step(self, states: States, name: str) -> States:
        """One segment further; empty when nothing beneath can match."""
        moved = []
        for number, at in states:
            sequence = self._patterns[number].tokens
            if at == len(sequence):
                continue
            token = sequence[at]
            if isinstance(token, Loop):
                moved.append((number, at))
            elif token == name if isinstance(token, str) else token.matches(name):
                moved.append((number, at + 1))
        return self._close(moved)

    def descend(self, states: States, path: str) -> States:
        """All segments of a path further."""
        for name in segments(path):
            states = self.step(states, name)
        return states

    def matched(self, states: States, *, directory: bool) -> bool:
        """Does what has been reached match?

        @param directory: it is one.
        """
        return any(
            at == len(self._patterns[number].tokens)
            and (directory or not self._patterns[number].directory)
            for number, at in states
        )

    def covers_all(self, states: States) -> bool:
        """Does what has been reached match, and all beneath it?"""
        return any(self._patterns[number].tokens[at:] == (LOOP,) for number, at in states)

    def remains(self, states: States) -> tuple[list[tuple[Pattern, str]], States]:
        """What is still to be looked for, beneath what has been reached.

        @return: of the patterns without wildcards from here on the relative path,
            and the states of the others.
        """
        wild = {number for number, at in states if not self._is_literal(number, at)}
        literal = [
            (self._patterns[number], "/".join(map(str, self._patterns[number].tokens[at:])))
            for number, at in sorted(states)
            if number not in wild and at < len(self._patterns[number].tokens)
        ]
        return literal, frozenset(state for state in states if state[0] in wild)

    def _is_literal(self, number: int, at: int) -> bool:
        return all(isinstance(token, str) for token in self._patterns[number].tokens[at:])

    def texts(self, states: States) -> list[str]:
        """The patterns that are still alive, as the permissions have them."""
        return [self._patterns[number].text for number in sorted({one for one, _ in states})]
