"""Patterns followed from directory to directory find what the checks of policy say."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clove.kernel.mounts.pattern_walk import (
    Pattern,
    PatternWalk,
    allowed_pattern,
    blocked_pattern,
    prefix_of,
)
from clove.policy.paths import allowed_set, blocked_set

NAMES = st.sampled_from(["a", "b", "ab", ".env", "x.key"])
SEGMENTS = st.one_of(NAMES, st.sampled_from(["*", "**", "?", "*.key", "a*", "[ab]"]))
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
PATHS = st.lists(NAMES, min_size=1, max_size=6).map(lambda parts: "/" + "/".join(parts))


@given(patterns=st.lists(PATTERNS, min_size=1, max_size=4), path=PATHS)
def test_an_allowed_path_is_found(patterns: list[str], path: str) -> None:
    walk = PatternWalk(map(allowed_pattern, patterns))
    states = walk.descend(walk.start(), path)
    allowed = allowed_set(tuple(patterns))
    assert walk.matched(states, directory=True) == (allowed.find(path) is not None)
    if walk.covers_all(states):
        assert allowed.find(f"{path}/any/thing") is not None


@given(patterns=st.lists(PATTERNS, min_size=1, max_size=4), path=PATHS)
def test_a_blocked_path_is_covered_by_itself_or_a_directory_above(
    patterns: list[str], path: str
) -> None:
    walk = PatternWalk(blocked_pattern(text, text) for text in patterns)
    states, covered = walk.start(), walk.matched(walk.start(), directory=True)
    parts = path.strip("/").split("/")
    for number, part in enumerate(parts):
        states = walk.step(states, part)
        covered |= walk.matched(states, directory=number < len(parts) - 1)
    assert covered == (blocked_set(tuple(patterns)).find(path, beneath=True) is not None)


@given(pattern=PATTERNS, path=PATHS)
def test_where_nothing_remains_nothing_beneath_is_blocked(pattern: str, path: str) -> None:
    walk = PatternWalk([blocked_pattern(pattern, pattern)])
    states = walk.descend(walk.start(), path)
    literal, wild = walk.remains(states)
    blocked = blocked_set((pattern,))
    assume(blocked.find(path, beneath=True) is None)  # such a path is not shown at all
    for _, rest in literal:
        assert blocked.find(f"{path}/{rest}/x", beneath=True) is not None
    if not literal and not wild and not walk.matched(states, directory=True):
        assert blocked.find(f"{path}/a", beneath=True) is None


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/data", "/data"),
        ("/data/**", "/data"),
        ("/data/*.csv", "/data"),
        ("/a/b*/c", "/a"),
        ("/a//b/**", "/a/b"),
        ("**/*.py", "/"),
        ("*", "/"),
        ("/**", "/"),
    ],
)
def test_the_prefix_ends_before_the_first_wildcard(pattern: str, prefix: str) -> None:
    assert prefix_of(pattern) == prefix


@pytest.mark.parametrize("text", ["/x/secret/*", "/x/secret/**", "/x/secret/*/**"])
def test_contents_that_are_blocked_are_covered_by_their_directory(text: str) -> None:
    pattern = blocked_pattern(text, text)
    assert pattern.tokens == ("x", "secret")


def test_what_is_literal_from_here_on_is_looked_up_by_name() -> None:
    walk = PatternWalk([blocked_pattern("~/.ssh", "/home/*/.ssh"), Pattern("/home/b/k", ("k",))])
    literal, wild = walk.remains(walk.descend(walk.start(), "/home/b"))
    assert [(pattern.text, rest) for pattern, rest in literal] == [("~/.ssh", ".ssh")]
    assert not wild
