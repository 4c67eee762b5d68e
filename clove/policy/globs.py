"""Globs over absolute paths: `*`, `?` and `[...]` within a segment, `**` across.

A pattern is compiled together with its list; see L{clove.policy.paths}.
"""

from __future__ import annotations

import dataclasses
import functools
import os.path
from collections.abc import Hashable, Iterable
from typing import Final

from clove.errors import InvalidRequest
from clove.policy.automaton import LOOP, Loop
from clove.policy.characters import SegmentGlobs, characters

__all__ = [
    "HOMES",
    "MAX_PATTERN",
    "SegmentGlob",
    "Token",
    "expand_home",
    "is_plain",
    "segments",
    "tokens",
]

MAX_PATTERN: Final = 1024
"""Characters of one pattern; a longer one is an InvalidRequest."""
MAX_SEGMENTS: Final = 32
"""Segments of one pattern; more are an InvalidRequest."""
MAX_WILDS: Final = 16
"""Segments with wildcards in one pattern; more are an InvalidRequest."""
HOMES: Final = ("/root", "/home/*")
"""What `~` also means in a blocked pattern, beside the kernel's own home."""

_WILDCARDS: Final = frozenset("*?[")


@dataclasses.dataclass(frozen=True)
class SegmentGlob:
    """A segment with wildcards. Equal ones are the same token."""

    text: str

    @functools.cached_property
    def characters(self) -> tuple[Hashable, ...]:
        """Its tokens over characters."""
        return characters(self.text)

    def matches(self, segment: str) -> bool:
        """Does it match this segment? For matching with one pattern by itself."""
        return self.text == "*" or bool(self._alone.match(segment))

    @functools.cached_property
    def _alone(self) -> SegmentGlobs:
        return SegmentGlobs([self.characters])


Token = str | SegmentGlob | Loop
"""A segment as it is, one with wildcards, or L{LOOP} for `**`."""


@functools.lru_cache(maxsize=256)
def _segment(text: str) -> SegmentGlob:
    """A segment's pattern, read.

    @raise InvalidRequest: a bracket is not closed.
    """
    found = SegmentGlob(text)
    found.characters  # noqa: B018 read it now, so that it is an error now
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
