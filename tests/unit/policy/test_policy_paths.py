"""Path rules: globs, normal forms, confusion of prefixes, and no slow pattern."""

import itertools
import sys
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest
from clove.policy import (
    Level,
    Permissions,
    check_read,
    check_write,
    for_level,
    normalise_path,
    ports_named,
    programs_of,
)
from clove.policy.paths import MAX_PATH, allowed_set, blocked_set
from clove.policy.work import Work

STANDARD = for_level(Level.STANDARD)


def allowing(*patterns: str) -> Permissions:
    return msgspec.structs.replace(STANDARD, allowed_read_paths=patterns)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/tmp/*", "/tmp/a", True),
        ("/tmp/*", "/tmp/a/b", False),
        ("/tmp/*", "/tmp", False),
        ("/tmp/*", "/tmpx/a", False),
        ("/tmp/**", "/tmp", True),
        ("/tmp/**", "/tmp/a/b/c", True),
        ("/tmp/**", "/tmp/../etc/passwd", False),
        ("/tmp/**", "/tmp//a/./b", True),
        ("/app", "/app", True),
        ("/app", "/app/deep/file", True),
        ("/app", "/appdata", False),
        ("/app/", "/appdata/x", False),
        ("/app", "/APP", False),
        ("/src/**/*.py", "/src/x.py", True),
        ("/src/**/*.py", "/src/a/b/x.py", True),
        ("/src/**/*.py", "/src/a/b/x.pyc", False),
        ("/src/a?c", "/src/abc", True),
        ("/src/a?c", "/src/ac", False),
        ("/src/[a-c]1", "/src/b1", True),
        ("/src/[!a-c]1", "/src/b1", False),
        ("/src/[]x]", "/src/]", True),
        ("*", "/anything/at/all", True),
        ("**/.git/**", "/w/.git/config", True),
        ("/a/**/b/**/c", "/a/b/c", True),
        ("/a/**/b/**/c", "/a/x/b/y/z/c", True),
        ("/a/**/b/**/c", "/a/x/y/z/c", False),
    ],
)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert check_read(allowing(pattern), path).allowed is expected


def test_the_decision_names_its_rule() -> None:
    assert check_read(allowing("/tmp/**"), "/tmp/x").rule == "allowed_read_paths: /tmp/**"
    denied = check_read(allowing("/tmp/**"), "/etc/passwd")
    assert denied.rule == "allowed_read_paths"
    assert "/tmp/**" in denied.hint
    assert check_read(STANDARD, "/etc/passwd").rule == "level: standard"
    assert check_read(for_level("minimal"), "/tmp/x").rule == "level: minimal"
    assert check_write(for_level("readonly"), "/tmp/x").rule == "level: readonly"


@pytest.mark.parametrize(
    "path",
    [
        "/root/.ssh/id_ed25519",
        "/root/.ssh",
        "/home/someone/.ssh/keys/deep/id",
        "/home/someone/.aws/credentials",
        "/root/.env",
        "/etc/shadow",
        "/etc/shadow-",
        "/tmp/../etc/shadow",
        "//etc//shadow",
        "/proc/1/environ",
    ],
)
def test_secrets_are_blocked_by_default(path: str) -> None:
    for level in (Level.STANDARD, Level.SANDBOXED, Level.READONLY):
        decision = check_read(for_level(level), path)
        assert not decision.allowed
        assert decision.rule.startswith("blocked_paths: ")


def test_blocked_paths_win_and_block_what_lies_beneath() -> None:
    permissions = msgspec.structs.replace(
        for_level(Level.UNRESTRICTED),
        allowed_read_paths=("/work/**",),
        blocked_paths=("/work/secret/*", "/work/one"),
    )
    for path in ("/work/secret/a", "/work/secret/a/b/c", "/work/one", "/work/one/two"):
        assert not check_read(permissions, path).allowed
    for path in ("/work/secret", "/work/oneself", "/work/other"):
        assert check_read(permissions, path).allowed


def test_home_of_the_agent_can_be_given() -> None:
    permissions = msgspec.structs.replace(STANDARD, blocked_paths=("~/.x",))
    assert check_read(permissions, "/srv/agent/.x/y").allowed
    assert not check_read(permissions, "/srv/agent/.x/y", home="/srv/agent").allowed


@pytest.mark.parametrize("path", ["relative", "~/x", "", "/a\0b", "/" + "x" * 5000])
def test_what_is_no_absolute_path_is_an_error_even_where_everything_is_allowed(path: str) -> None:
    for level in (Level.UNRESTRICTED, Level.STANDARD, Level.SANDBOXED):
        with pytest.raises(InvalidRequest):
            check_read(for_level(level), path)


def test_a_decision_is_kept_unless_its_path_is_too_long_to_be_judged() -> None:
    standard = for_level(Level.STANDARD)
    assert check_read(standard, "/a") is check_read(for_level(Level.STANDARD), "/a")
    long = "/" + "a" * MAX_PATH
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            check_read(standard, long)
    assert not check_read(for_level(Level.MINIMAL), long).allowed


def test_permissions_are_not_kept_with_what_was_decided_by_some_of_their_lists() -> None:
    new = str(uuid4())  # nothing was ever asked of these
    rules = msgspec.structs.replace(
        STANDARD,
        blocked_paths=(f"/{new}",),
        allowed_commands=(new,),
        allowed_domains=(f"{new}.example",),
    )
    before = sys.getrefcount(rules)
    assert check_read(rules, "/a").allowed
    assert programs_of(rules).allowed == (new,)
    assert ports_named(rules) == (80, 443)
    assert sys.getrefcount(rules) == before


def test_a_kept_decision_is_of_these_permissions_and_this_question_alone() -> None:
    standard = for_level(Level.STANDARD)
    assert check_read(standard, "/a/b").allowed
    assert check_write(standard, "/a/b").allowed
    narrow = msgspec.structs.replace(standard, blocked_paths=("/a",), can_write=False)
    assert check_read(narrow, "/a/b").rule == "blocked_paths: /a"
    assert check_write(narrow, "/c").rule == "can_write"
    assert check_read(standard, "/a/b").allowed


@pytest.mark.parametrize(
    "pattern", ["tmp/*", "", "/a/../b", "/a/./b", "/a\0", "/[abc", "/" + "a/" * 40, "/x" * 600]
)
def test_bad_patterns_are_errors(pattern: str) -> None:
    with pytest.raises(InvalidRequest):
        allowed_set((pattern,))


@given(st.text(max_size=60))
def test_normal_forms_are_stable_and_hold_no_dots(text: str) -> None:
    try:
        path = normalise_path("/" + text)
    except InvalidRequest:
        return
    assert normalise_path(path) == path
    assert not {"..", "."} & set(path.split("/"))
    assert "//" not in path


def naive_segment(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive_segment(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and naive_segment(pattern[1:], text[1:])


def naive(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(naive(pattern[1:], path[at:]) for at in range(len(path) + 1))
    return bool(path) and naive_segment(pattern[0], path[0]) and naive(pattern[1:], path[1:])


SEGMENT = st.text("ab*?", min_size=1, max_size=4)
GLOB = st.lists(SEGMENT | st.just("**"), min_size=1, max_size=4)
PATH = st.lists(st.text("ab", min_size=1, max_size=4), max_size=5)


def glob(parts: list[str]) -> str:
    # A wildcard at the end keeps a plain pattern from standing for a whole tree.
    return "/" + "/".join(part.replace("***", "*") for part in parts)


@given(st.lists(GLOB, min_size=1, max_size=4), PATH)
def test_the_matcher_agrees_with_a_naive_one(globs: list[list[str]], path: list[str]) -> None:
    patterns = tuple(glob(parts) for parts in globs)
    compiled = blocked_set(patterns)
    text = "/" + "/".join(path)
    matching = [p for p in patterns if naive(p[1:].split("/"), path)]
    assert compiled.find(text) == (matching[0] if matching else None)
    beneath = [
        p
        for p in patterns
        if any(naive(p[1:].split("/"), path[:end]) for end in range(len(path) + 1))
    ]
    assert compiled.find(text, beneath=True) == (beneath[0] if beneath else None)


@given(GLOB, GLOB)
def test_a_set_that_contains_another_matches_all_that_it_matches(
    outer: list[str], inner: list[str]
) -> None:
    wide, slim = blocked_set((glob(outer),)), blocked_set((glob(inner),))
    if not all(slim.within(wide, Work("this test"))):
        return
    for length in range(4):
        for path in itertools.product(("a", "b", "ab", "ba", "aab"), repeat=length):
            text = "/" + "/".join(path)
            assert slim.find(text) is None or wide.find(text) is not None
