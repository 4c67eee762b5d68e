"""What a check may cost: counted steps, never time. Whatever rules and texts an agent thinks up."""

from __future__ import annotations

import sys

import pytest

from clove.errors import InvalidRequest, LimitExceeded
from clove.policy import Permissions, check_read, excesses, narrow, normalise_host, parse
from clove.policy.automaton import Automaton
from clove.policy.characters import MAX_POINTS, SegmentGlobs, characters
from clove.policy.delegation import held, shut
from clove.policy.paths import allowed_set, within
from clove.policy.pathsets import MAX_SEGMENTS, MAX_WILD_TEXT, PathSet
from clove.policy.permissions import FLAGS
from clove.policy.work import MAX_STEPS, Work
from tests.unit.policy.policy_lists import LETTERS, lists, wild


class CountedMoves(Automaton):
    """Counts its moves."""

    moves = 0

    def move(self, states: int, here: int) -> int:
        CountedMoves.moves += 1
        return super().move(states, here)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> type[CountedMoves]:
    CountedMoves.moves = 0
    for module in ("clove.policy.pathsets", "clove.policy.characters"):
        monkeypatch.setattr(f"{module}.Automaton", CountedMoves)
    return CountedMoves


def compiled(*patterns: str) -> PathSet:
    return allowed_set.__wrapped__(patterns)


def test_a_path_takes_a_move_for_each_character_however_many_patterns_there_are(
    moves: type[CountedMoves],
) -> None:
    patterns = compiled(*(f"/**/*{'a?' * 3}{one}{two}" for one in "xyz" for two in LETTERS[:30]))
    path = "/" + "/".join(["aaaaaaaaaaaaaaaaaaaa"] * 40)
    moves.moves = 0
    assert patterns.find(path) is None
    assert moves.moves <= len(path) + 40


def test_what_nothing_can_match_any_more_is_not_read_on(moves: type[CountedMoves]) -> None:
    patterns = compiled("/a/b*")
    moves.moves = 0
    assert patterns.find("/x" + "/bbbbbb" * 500) is None
    assert moves.moves == 1


def test_rules_made_to_be_slow_are_matched_in_one_pass(moves: type[CountedMoves]) -> None:
    """Half a second for each READ, once."""
    patterns = compiled(*(f"/w/**/[a-z]?*{number}/**/x*?*?*?*y/**/z"[:63] for number in range(120)))
    path = "/w/" + "a/x1111y/" * 400 + "z"
    moves.moves = 0
    assert patterns.find(path) is None
    assert moves.moves <= len(path) + path.count("/")


def test_rules_that_grow_with_each_other_are_refused_as_they_are_set() -> None:
    """Three seconds for each SET_PERMS, once."""
    with pytest.raises(LimitExceeded, match="wildcards") as raised:
        parse(None, {"allowed_paths": [f"/w/{'*a' * 20}{number}/*" for number in range(128)]})
    assert raised.value.hint


@pytest.mark.parametrize("field", ["allowed_paths", "blocked_paths"])
def test_wildcards_are_bounded_by_what_they_take(field: str) -> None:
    many = [f"/{number:039}*" for number in range(MAX_WILD_TEXT // 40 + 1)]
    parse(None, {field: many[:-10]})
    with pytest.raises(LimitExceeded, match="wildcards"):
        parse(None, {field: many})
    parse("unrestricted", {field: [f"/src/{number}/**/*.py" for number in range(100)]})


def test_a_list_that_is_far_too_long_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clove.policy.parsing.expand_home", None)
    with pytest.raises(LimitExceeded, match="allowed_read_paths"):
        parse(None, {"allowed_read_paths": ["/a"] * 2000})


@pytest.mark.parametrize("level", ["standard", "sandboxed"])
@pytest.mark.parametrize("field", ["blocked_paths", "blocked_commands"])
def test_what_a_level_blocks_takes_no_room_from_what_is_asked_for(level: str, field: str) -> None:
    asked = [
        f"/srv/{number}" if field == "blocked_paths" else f"x{number}" for number in range(128)
    ]
    assert set(asked) <= set(getattr(parse(level, {field: asked}), field))
    with pytest.raises(LimitExceeded, match=field):
        parse(level, {field: [*asked, "/one/more" if field == "blocked_paths" else "more"]})


@pytest.mark.parametrize("field", ["blocked_paths", "blocked_commands"])
def test_a_childs_full_list_has_room_beside_its_parents(field: str) -> None:
    """Each is within its bound: the spawn is an ordinary one."""

    def full(first: str) -> Permissions:
        mark = "/" if field == "blocked_paths" else ""
        return parse(None, {field: [f"{mark}{first}{number}" for number in range(128)]})

    parent, child, more = full("a"), full("b"), full("c")
    both = narrow(parent, child)
    assert {*getattr(parent, field), *getattr(child, field)} == set(getattr(both, field))
    with pytest.raises(LimitExceeded, match=field):
        narrow(both, more)


def test_the_same_wildcard_counts_once() -> None:
    parse(None, {"allowed_paths": [f"/src/{number}/*.some-long-ending" for number in range(128)]})


def test_segments_and_characters_told_apart_are_bounded() -> None:
    one = "/a" * 31
    with pytest.raises(LimitExceeded, match="segments"):
        compiled(*(f"{one}/{number}" for number in range(MAX_SEGMENTS // 32 + 1)))
    every = "".join(chr(0x4E00 + 2 * number) for number in range(MAX_POINTS // 2 + 1))
    with pytest.raises(LimitExceeded, match="characters"):
        SegmentGlobs([characters(f"*{every}")])


def test_a_long_path_against_many_wildcards_is_refused_and_not_allowed() -> None:
    permissions = parse("unrestricted", {"blocked_paths": list(wild(100))})
    with pytest.raises(InvalidRequest, match="segments"):
        check_read(permissions, "/" + "a/" * 2000)
    assert check_read(permissions, "/w" + "/a" * 100).allowed


def test_a_comparison_of_rules_is_counted_and_refused_beyond_its_bound() -> None:
    work = Work("this", most=10)
    with pytest.raises(LimitExceeded, match="too complex"):
        within(wild(20), wild(30, 9), work)
    assert work.spent > 10


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (
            lists(allowed_read_paths=wild(110), allowed_write_paths=wild(110)),
            lists(allowed_read_paths=wild(100, 9), allowed_write_paths=wild(100, 9)),
        ),
        (
            lists(allowed_commands=tuple(f"a -{LETTERS[:40]} {one}" for one in range(128))),
            lists(allowed_commands=tuple(f"a -{LETTERS[:40]} {one} x" for one in range(128))),
        ),
        (
            lists(allowed_domains=tuple(f"10.{one}.0.0/16" for one in range(128))),
            lists(allowed_domains=tuple(f"10.{one}.1.0/24" for one in range(128))),
        ),
    ],
    ids=["paths", "commands", "domains"],
)
def test_the_most_that_lists_can_hold_is_compared_within_the_bound(
    mine: Permissions, theirs: Permissions
) -> None:
    for parent, child in ((mine, theirs), (theirs, mine)):
        work = Work("this")
        excesses(parent, child, work)
        narrow(parent, child)
        assert 0 < work.spent <= MAX_STEPS


def test_equal_lists_need_no_work() -> None:
    rules = wild(100)
    mine = lists(allowed_read_paths=rules, allowed_domains=("a.test",))
    work = Work("this", most=0)
    assert excesses(mine, mine, work) == []
    assert narrow(mine, mine, work) == mine


def test_what_cannot_be_compared_is_shut() -> None:
    parent = parse("sandboxed", {"blocked_commands": ["x"], "llm_quota": {"max_calls": 5}})
    child = lists(allowed_read_paths=wild(100), blocked_paths=("/never",), max_llm_tokens=7)
    found = shut(parent, child)
    assert excesses(parent, found) == []
    on = {flag for flag in FLAGS if getattr(found, flag)}
    assert on <= {"can_think", "can_spawn", "can_message", "can_store", "can_emit"}
    assert (found.max_llm_calls, found.max_llm_tokens, found.level) == (5, 7, "sandboxed")


def test_no_descendant_keeps_what_its_ancestor_loses_by_rules_that_are_hard_to_compare() -> None:
    parent = lists(allowed_read_paths=wild(40))
    child = lists(allowed_read_paths=wild(40, 9), allowed_domains=("a.test",))
    work = Work("this", most=5)
    for _ in range(2):
        found = held(parent, child, work)
        assert excesses(parent, found) == []
        assert not found.can_read
        assert not found.can_http
    assert held(parent, parent, work) is parent


def test_many_descendants_with_different_rules_take_no_more_work_than_one_check() -> None:
    """Those that come last are shut; equal ones are compiled once and cost next to nothing."""
    parent = parse("standard", {"blocked_paths": ["/never"]})
    work = Work("this")
    alike = [held(parent, parse("standard"), work) for _ in range(500)]
    assert all(found.can_read for found in alike)
    assert work.spent < MAX_STEPS // 10
    children = [
        parse("standard", {"blocked_paths": [f"/{number}/{one}" for one in range(90)]})
        for number in range(1000)
    ]
    found = [held(parent, child, work) for child in children]
    assert all(excesses(parent, one) == [] for one in found)
    assert found[0].can_read
    assert not found[-1].can_read


def test_lists_that_cannot_be_joined_are_shut_too() -> None:
    blocked = tuple(f"/x/{number}" for number in range(256))
    parent = lists(blocked_paths=("/y", *blocked[1:]))
    found = held(parent, lists(blocked_paths=blocked), Work("this"))
    assert excesses(parent, found) == []
    assert not found.can_read
    assert not found.can_write


def test_a_long_international_name_is_refused_before_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "idna", None)  # to import it would fail
    with pytest.raises(InvalidRequest):
        normalise_host("\u00e4" * 255)


def test_names_that_must_be_mapped_are_bounded_before_they_are() -> None:
    names = [f"{'ä' * 20}{number}.test" for number in range(60)]
    parse(None, {"allowed_domains": names[:20]})
    with pytest.raises(LimitExceeded, match="not ASCII"):
        parse(None, {"allowed_domains": names})
