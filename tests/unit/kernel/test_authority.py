"""Who may do what to whom: every relation against every call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clove.errors import PermissionDenied
from clove.kernel.authority import (
    ALL_RELATIONS,
    TABLE,
    Relation,
    check_spawn,
    is_free,
    may,
    may_resume,
    relation,
    require,
    visible,
)
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level
from tests.unit.kernel.relations import (
    BELOW_FORGOTTEN,
    CHILD,
    EXPECTED,
    GRANDCHILD,
    GUEST,
    GUESTS,
    ME,
    OPERATOR,
    PARENT,
    SIBLING,
    STRANGER,
    TARGETS,
    principal,
)

DOCS = Path(__file__).parents[3] / "docs"


def test_every_call_is_in_the_table() -> None:
    assert set(TABLE) == set(EXPECTED)


@pytest.mark.parametrize("call", EXPECTED)
def test_every_relation(call: str) -> None:
    for kind, expected in zip((Kind.AGENT, Kind.OPERATOR), EXPECTED[call], strict=True):
        caller = principal(11, 10, 1, kind=kind)
        targets = {**TARGETS, "self": caller}
        assert {name for name, target in targets.items() if may(caller, call, target)} == expected


def test_a_guest_is_no_more_than_an_agent() -> None:
    for call, row in TABLE.items():
        theirs = {one.agent_id for one in (GUEST, GUESTS, ME, OPERATOR) if may(GUEST, call, one)}
        if row.agents == ALL_RELATIONS:
            assert theirs == {2, 21, 11, 1}
        else:
            assert theirs <= {2, 21}, call


def test_what_is_not_listed_is_refused_to_all() -> None:
    for caller in (ME, GUEST, OPERATOR):
        assert not may(caller, "REBOOT", caller)
        with pytest.raises(PermissionDenied):
            require(caller, "REBOOT", caller)
    assert not is_free("REBOOT")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (ME, Relation.SELF),
        (CHILD, Relation.CHILD),
        (GRANDCHILD, Relation.DESCENDANT),
        (BELOW_FORGOTTEN, Relation.DESCENDANT),
        (PARENT, Relation.ANCESTOR),
        (OPERATOR, Relation.ANCESTOR),
        (SIBLING, Relation.SIBLING),
        (STRANGER, Relation.STRANGER),
        (GUEST, Relation.STRANGER),
    ],
)
def test_relations(target: Principal, found: Relation) -> None:
    assert relation(ME, target) is found


def test_two_from_outside_are_no_siblings() -> None:
    assert relation(GUEST, OPERATOR) is Relation.STRANGER


def test_what_is_visible() -> None:
    assert visible(ME, "METRICS_AGENT", [PARENT, ME, CHILD, STRANGER]) == [ME, CHILD]
    assert visible(ME, "LIST", [PARENT, STRANGER]) == [PARENT, STRANGER]


def test_only_the_same_kind_and_user_resumes() -> None:
    assert may_resume((Kind.GUEST, 1000), (Kind.GUEST, 1000))
    assert not may_resume((Kind.GUEST, 1000), (Kind.GUEST, 1001))
    assert not may_resume((Kind.GUEST, 0), (Kind.OPERATOR, 0))


@pytest.mark.parametrize(
    ("kind", "sandboxed", "network", "refused"),
    [
        (Kind.OPERATOR, False, True, set()),
        (Kind.AGENT, False, True, set()),
        (Kind.AGENT, True, True, {"sandboxed", "allow_degraded"}),
        (Kind.AGENT, True, False, {"sandboxed", "allow_degraded", "network"}),
        (Kind.GUEST, False, True, {"sandboxed", "allow_degraded"}),
    ],
)
def test_no_principal_spawns_more_than_it_is(
    kind: Kind, sandboxed: bool, network: bool, refused: set[str]
) -> None:
    caller = Principal(5, kind, for_level(Level.STANDARD), sandboxed=sandboxed, network=network)
    found = set()
    for named in ("sandboxed", "allow_degraded", "network"):
        try:
            check_spawn(
                caller,
                sandboxed=named != "sandboxed",
                degraded=named == "allow_degraded",
                network=named == "network",
            )
        except PermissionDenied as error:
            found.add(error.rule)
    assert found == refused


def test_the_page_has_the_table() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        (DOCS / "authority.md").read_text(),
        re.M,
    )
    words = {
        frozenset(ALL_RELATIONS): "all",
        frozenset(): "none",
    }

    def said(whom: frozenset[Relation]) -> str:
        return words.get(whom) or ", ".join(one.value for one in Relation if one in whom)

    assert {name: tuple(each.strip() for each in columns) for name, *columns in rows} == {
        name: (said(row.agents), said(row.operators), said(row.remotes))
        for name, row in TABLE.items()
    }
