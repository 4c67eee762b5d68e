"""Lists of path patterns, compiled: what matches a path, what lies within another list. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final

from clove.errors import InvalidRequest, LimitExceeded
from clove.policy.automaton import Automaton, Loop
from clove.policy.characters import SegmentGlobs
from clove.policy.globs import SegmentGlob, Token, segments
from clove.policy.work import MAX_STEPS, Work

__all__ = ["MAX_PATH", "MAX_SEGMENTS", "MAX_WILD_TEXT", "PathSet", "parts_of"]

MAX_PATH: Final = 4096
"""Characters of a path that is judged (PATH_MAX of Linux); a longer one is an InvalidRequest."""
MAX_SEGMENTS: Final = 4096
"""Segments of one list's patterns altogether, `~` expanded; more are a LimitExceeded."""
MAX_WILD_TEXT: Final = 2048
"""Characters of one list's different segments with wildcards; more are a LimitExceeded."""

_GLOBS: Final = 8
"""Kinds of wildcards that are asked in one step whether they match a segment."""
_HINT: Final = "use fewer patterns, or such as cover more"


def parts_of(path: str) -> list[str]:
    """The segments of an absolute path in lexical normal form.

    @raise InvalidRequest: not absolute, too long, or with a NUL.
    """
    if not path.startswith("/"):
        raise InvalidRequest(f"not an absolute path: {path[:80]!r}", hint="it begins with /")
    if len(path) > MAX_PATH:
        raise InvalidRequest(f"a path has at most {MAX_PATH} characters")
    if "\0" in path:
        raise InvalidRequest("a path holds no NUL")
    found: list[str] = []
    for part in segments(path):
        if part == "..":
            if found:
                found.pop()
        elif part != ".":
            found.append(part)
    return found


class PathSet:
    """A list of patterns, compiled.

    Segments are the symbols of one automaton. A segment with wildcards is a token
    of it; another automaton says which of these a given segment matches.

    @ivar names: of each pattern what it is called.
    """

    __slots__ = ("_any", "_automaton", "_globs", "_matcher", "_patterns", "_wild", "names")

    def __init__(self, patterns: Sequence[tuple[str, Sequence[Token]]]) -> None:
        """@raise LimitExceeded: there is too much in them."""
        self.names = [name for name, _ in patterns]
        self._patterns = [sequence for _, sequence in patterns]
        if sum(map(len, self._patterns)) > MAX_SEGMENTS:
            raise LimitExceeded(
                f"path patterns of more than {MAX_SEGMENTS} segments altogether", hint=_HINT
            )
        self._automaton = Automaton(self._patterns)
        where = self._automaton.where
        self._any = where.get(SegmentGlob("*"), 0)
        wild = [one for one in where if isinstance(one, SegmentGlob) and one.text != "*"]
        if sum(len(one.text) for one in wild) > MAX_WILD_TEXT:
            raise LimitExceeded(
                f"path patterns with more than {MAX_WILD_TEXT} characters of wildcards, and of "
                "what stands with them between two slashes",
                hint=_HINT,
            )
        self._matcher = SegmentGlobs([one.characters for one in wild])
        self._globs = [(end, where[one]) for end, one in zip(self._matcher.ends, wild, strict=True)]
        self._wild = sum(bits for _, bits in self._globs)

    def find(self, path: str, *, beneath: bool = False) -> str | None:
        """The name of the first pattern that matches the path, or None.

        @param beneath: also where it matches only the path's first segments.
        @raise InvalidRequest: see L{parts_of}; or it has too many segments to be
            held against so many wildcards.
        """
        parts = parts_of(path)
        if len(path) + len(parts) * len(self._globs) // _GLOBS > MAX_STEPS:
            raise InvalidRequest(
                f"a path of {len(parts)} segments, against {len(self._globs)} kinds of wildcards",
                hint="use fewer wildcards in the permissions, or a shorter path",
            )
        automaton = self._automaton
        states = seen = automaton.start
        for part in parts:
            states = automaton.move(states, self._here(states, part))
            if not states:
                break
            seen |= states
        number = automaton.first(automaton.reached(seen if beneath else states))
        return None if number < 0 else self.names[number]

    def _here(self, states: int, part: str) -> int:
        """The bits in front of tokens that stand for a segment."""
        here = self._automaton.where.get(part, 0) | self._any
        if states & self._wild:
            here |= self._translated(self._matcher.match(part))
        return here

    def _translated(self, ends: int) -> int:
        here = 0
        if ends:
            for end, bits in self._globs:
                if ends & end:
                    here |= bits
        return here

    def within(self, other: PathSet, work: Work) -> list[bool]:
        """Of each pattern: does one of the other set surely match all that it matches?

        @raise LimitExceeded: that takes too much work.
        """
        known: dict[Hashable, int] = {}
        return [other._covers(pattern, known, work) for pattern in self._patterns]

    def _covers(self, pattern: Iterable[Token], known: dict[Hashable, int], work: Work) -> bool:
        automaton = self._automaton
        states = automaton.start
        for token in pattern:
            work.spend(1)
            if isinstance(token, Loop):
                states = automaton.loop(states)
                continue
            here = known.get(token)
            if here is None:
                here = known[token] = self._where_covering(token, work)
            states = automaton.move(states, here)
        return bool(automaton.reached(states))

    def _where_covering(self, token: str | SegmentGlob, work: Work) -> int:
        """The bits in front of tokens that stand for all that a token stands for."""
        here = self._any
        if isinstance(token, str):
            here |= self._automaton.where.get(token, 0)
        if not self._globs:
            return here
        text = token if isinstance(token, str) else token.text
        work.spend(len(text) + len(self._globs) // _GLOBS)
        if isinstance(token, str):
            return here | self._translated(self._matcher.match(token))
        return here | self._translated(self._matcher.covering(token.characters))
