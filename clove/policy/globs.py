"""Globs over absolute paths: `*`, `?` and `[...]` within a segment, `**` across.

A pattern is compiled together with its list; see L{clove.policy.automaton}.
"""

from __future__ import annotations

import functools
import os.path
from collections.abc import Iterable
from typing import Final

from clove.errors import InvalidRequest
from clove.policy.automaton import LOOP, Automaton, Token, Wild

__all__ = ["HOMES", "MAX_PATTERN", "expand_home", "is_plain", "segments", "tokens"]

MAX_PATTERN: Final = 1024
"""Characters of one pattern; a longer one is an InvalidRequest."""
MAX_SEGMENTS: Final = 32
"""Segments of one pattern; more are an InvalidRequest."""
MAX_WILDS: Final = 16
"""Segments with wildcards in one pattern; more are an InvalidRequest."""
HOMES: Final = ("/root", "/home/*")
"""What `~` also means in a blocked pattern, beside the kernel's own home."""

_WILDCARDS: Final = frozenset("*?[")


class _AnyCharacter:
    """`?`: one character."""

    def matches(self, symbol: str) -> bool:
        return True

    def covers(self, other: Wild) -> bool:
        return True


class _CharacterClass:
    """`[a-z_]` or `[!a-z]`: one character of a set."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._negated = text[0] in "!^"
        body = text[1:] if self._negated else text
        self._single: set[str] = set()
        self._ranges: list[tuple[str, str]] = []
        at = 0
        while at < len(body):
            if body[at + 1 : at + 2] == "-" and at + 2 < len(body):
                self._ranges.append((body[at], body[at + 2]))
                at += 3
            else:
                self._single.add(body[at])
                at += 1

    def matches(self, symbol: str) -> bool:
        inside = symbol in self._single or any(a <= symbol <= z for a, z in self._ranges)
        return inside is not self._negated

    def covers(self, other: Wild) -> bool:
        return isinstance(other, _CharacterClass) and other._text == self._text


class _SegmentGlob:
    """A segment with wildcards."""

    def __init__(self, text: str) -> None:
        self._characters = _characters(text)
        self._automaton = Automaton([self._characters])
        self._any = text == "*"

    def matches(self, symbol: str) -> bool:
        return self._any or self._automaton.match(symbol) == 0

    def covers(self, other: Wild) -> bool:
        return isinstance(other, _SegmentGlob) and self._automaton.covers(other._characters)


@functools.lru_cache(maxsize=256)
def _segment(text: str) -> _SegmentGlob:
    """The same object for the same text, so that an automaton asks it once for all."""
    return _SegmentGlob(text)


def _characters(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        one = text[at]
        at += 1
        if one == "*":
            found.append(LOOP)
        elif one == "?":
            found.append(_AnyCharacter())
        elif one == "[":
            # The first character of a class may be a bracket: []a] and [!]a].
            end = text.find("]", at + 2 if text[at : at + 1] in ("!", "^") else at + 1)
            if end < 0:
                raise InvalidRequest(f"a [ without its ] in the pattern {text!r}")
            found.append(_CharacterClass(text[at:end]))
            at = end + 1
        else:
            found.append(one)
    return found


def segments(path: str) -> list[str]:
    """The parts of an absolute path, empty ones left out."""
    return [part for part in path.split("/") if part]


def is_plain(pattern: str) -> bool:
    """No wildcard in it."""
    return _WILDCARDS.isdisjoint(pattern)


def expand_home(pattern: str, homes: Iterable[str]) -> list[str]:
    """`~` or `~/x` with each of the homes in its place; other patterns as they are."""
    if pattern == "~" or pattern.startswith("~/"):
        return [home.rstrip("/") + pattern[1:] for home in homes]
    return [pattern]


def tokens(pattern: str) -> list[Token]:
    """A pattern, `~` already expanded, as tokens over a path's segments.

    @raise InvalidRequest: not absolute, too long, or with `..`, `.` or NUL.
    """
    if pattern == "*":
        pattern = "/**"
    elif pattern.startswith("**/"):
        pattern = "/" + pattern
    if len(pattern) > MAX_PATTERN:
        raise InvalidRequest(f"a path pattern has at most {MAX_PATTERN} characters")
    if not pattern.startswith("/"):
        raise InvalidRequest(
            f"a path pattern is absolute or begins with ~/ or **/, not {pattern!r}",
            hint="write it as /tmp/*, /workspace/** or ~/project/**",
        )
    parts = segments(pattern)
    if "\0" in pattern or ".." in parts or "." in parts:
        raise InvalidRequest(f"a path pattern holds no NUL, . or .. segment: {pattern!r}")
    if len(parts) > MAX_SEGMENTS or sum(not is_plain(part) for part in parts) > MAX_WILDS:
        raise InvalidRequest(
            f"a path pattern has at most {MAX_SEGMENTS} segments, {MAX_WILDS} with wildcards"
        )
    return [LOOP if part == "**" else part if is_plain(part) else _segment(part) for part in parts]


@functools.cache
def kernel_home() -> str:
    """The home directory of the kernel's own user, as its environment says."""
    return os.path.expanduser("~")
