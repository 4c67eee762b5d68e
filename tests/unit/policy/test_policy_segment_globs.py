"""Wildcards in one segment of a path match what a backtracking matcher says."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from clove.policy.automaton import LOOP
from clove.policy.characters import SegmentGlobs, characters

CLASS = st.from_regex(r"\[[!^]?[abc\-][abc!^\-]{0,3}\]", fullmatch=True)
SEGMENT = st.lists(CLASS | st.sampled_from(["*", "?", "a", "b", "-"]), min_size=1, max_size=6)


def as_regex(pattern: str) -> re.Pattern[str]:
    """By Python's own matcher, one token at a time."""
    found = ""
    for token in characters(pattern):
        if token is LOOP:
            found += ".*"
        elif isinstance(token, str):
            found += re.escape(token)
        elif repr(token) == "ANY":
            found += "."
        else:
            inside = "".join(
                f"{re.escape(chr(first))}-{re.escape(chr(last))}"
                for first, last in token.ranges  # type: ignore[attr-defined]
            )
            found += f"[{inside}]" if inside else "(?!)"
    return re.compile(found, re.DOTALL)


@given(st.lists(SEGMENT, min_size=1, max_size=5), st.text("ab-c!\U0010ffff", max_size=8))
def test_segments_match_as_a_backtracking_matcher_says(parts: list[list[str]], text: str) -> None:
    patterns = ["".join(part) for part in parts]
    matcher = SegmentGlobs([characters(pattern) for pattern in patterns])
    reached = matcher.match(text)
    matching = [bool(reached & end) for end in matcher.ends]
    assert matching == [bool(as_regex(one).fullmatch(text)) for one in patterns]


@given(SEGMENT, SEGMENT, st.lists(st.text("ab-c!", max_size=5), max_size=20))
def test_what_covers_a_segment_matches_all_that_it_matches(
    outer: list[str], inner: list[str], texts: list[str]
) -> None:
    wide = SegmentGlobs([characters("".join(outer))])
    slim = characters("".join(inner))
    if wide.covering(slim):
        one = SegmentGlobs([slim])
        assert all(wide.match(text) or not one.match(text) for text in texts)
