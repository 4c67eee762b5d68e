"""GET_PERMS and SET_PERMS: who may see and set what."""

from typing import Any

import msgspec
import pytest

from clove.errors import InvalidRequest, NotFound, PermissionDenied
from clove.kernel.calls.permissions import get_perms
from clove.messages.permissions import GetPermsRequest
from clove.policy import Level, excesses, parse
from tests.unit.policy.family import Family


def test_own_permissions(family: Family) -> None:
    for agent_id in (None, 0, family.child.agent_id):
        reply = get_perms(family.context(family.child), GetPermsRequest(agent_id=agent_id))
        assert reply.agent_id == family.child.agent_id
        assert reply.permissions["level"] == "standard"


def test_an_empty_level_beside_permissions_names_none(family: Family) -> None:
    """Clients that send every field do so."""
    family.set(family.child, level="", permissions={"level": "readonly"})
    assert family.child.permissions.level == "readonly"
    with pytest.raises(InvalidRequest):
        family.set(family.child, level="")


def test_ancestors_and_the_operator_see_permissions_and_no_others(family: Family) -> None:
    request = GetPermsRequest(agent_id=family.grandchild.agent_id)
    for who in (family.operator, family.parent, family.child):
        assert get_perms(family.context(who), request).agent_id == family.grandchild.agent_id
    for who in (family.guest, family.stranger):
        with pytest.raises(PermissionDenied) as caught:
            get_perms(family.context(who), request)
        assert caught.value.rule == "descendants"
    with pytest.raises(PermissionDenied):
        get_perms(family.context(family.child), GetPermsRequest(agent_id=family.parent.agent_id))


def test_no_agent_learns_which_ids_are_alive(family: Family) -> None:
    with pytest.raises(PermissionDenied):
        get_perms(family.context(family.child), GetPermsRequest(agent_id=999))
    with pytest.raises(NotFound):
        get_perms(family.context(family.operator), GetPermsRequest(agent_id=999))


def test_an_agent_narrows_itself_and_cannot_go_back(family: Family) -> None:
    family.set(family.child, level="readonly")
    assert family.child.permissions.level is Level.READONLY
    assert not family.child.permissions.can_exec
    for fields in ({"level": "standard"}, {"permissions": {"can_exec": True}}):
        with pytest.raises(PermissionDenied) as caught:
            family.set(family.child, **fields)
        assert caught.value.rule.startswith("narrow-only: ")


@pytest.mark.parametrize(
    "fields",
    [
        {"level": "unrestricted"},
        {"permissions": "unrestricted"},
        {"permissions": {"level": "unrestricted"}},
        {"permissions": {"can_http": True}},
        {"permissions": {"can_spawn": True}},
        {"permissions": {"max_llm_calls": 0}},
        {"permissions": {"llm_quota": {"max_calls": 9}}},
        {"permissions": {"allowed_paths": ["/**"]}},
        {"permissions": {"allowed_read_paths": ["/elsewhere/**"]}},
        {"permissions": {"allowed_commands": ["sh"]}},
    ],
)
@pytest.mark.parametrize("who", ["child", "parent"])
def test_no_agent_raises_permissions(family: Family, fields: dict[str, Any], who: str) -> None:
    limited = parse(
        "standard",
        {"max_llm_calls": 3, "allowed_paths": ["/work/**"], "allowed_commands": ["ls"]},
    )
    family.child.permissions = limited
    with pytest.raises(PermissionDenied):
        family.set(getattr(family, who), agent_id=family.child.agent_id, **fields)
    assert family.child.permissions is limited


def test_a_guest_only_narrows(family: Family) -> None:
    with pytest.raises(PermissionDenied):
        family.set(family.guest, level="unrestricted")
    family.set(family.guest, level="minimal")
    assert family.guest.permissions.level is Level.MINIMAL


def test_a_level_is_cut_to_what_one_has(family: Family) -> None:
    family.child.permissions = parse("standard", {"allowed_paths": ["/work/**"]})
    family.set(family.child, level="readonly")
    assert family.child.permissions.allowed_read_paths == ("/work/**",)


def test_blocked_lists_only_grow(family: Family) -> None:
    family.set(family.child, permissions={"blocked_paths": ["/b"]})
    family.set(family.child, permissions={"blocked_paths": ["/c"]})
    assert {"/b", "/c", "~/.ssh"} <= set(family.child.permissions.blocked_paths)


def test_the_operator_sets_anything(family: Family) -> None:
    family.set(
        family.operator,
        agent_id=family.child.agent_id,
        permissions={"can_http": True, "allowed_domains": ["127.0.0.1:8080"]},
    )
    assert family.child.permissions.can_http
    assert family.child.permissions.allowed_domains == ("127.0.0.1:8080",)


def test_descendants_are_narrowed_with_their_ancestor(family: Family) -> None:
    family.set(family.operator, agent_id=family.parent.agent_id, level="minimal")
    for principal in (family.parent, family.child, family.grandchild):
        assert not principal.permissions.can_exec
    assert family.stranger.permissions.can_exec


def test_no_list_of_its_own_keeps_a_descendant_from_being_narrowed(family: Family) -> None:
    full = {
        "blocked_paths": tuple(f"/{n}" for n in range(200)),
        "blocked_commands": tuple(f"c{n}" for n in range(256)),
    }
    family.child.permissions = msgspec.structs.replace(parse("standard"), **full)
    more = {"blocked_paths": [f"/x{n}" for n in range(60)], "blocked_commands": ["dd"]}
    family.set(family.operator, agent_id=family.parent.agent_id, permissions=more)
    child = family.child.permissions
    assert not any((child.can_read, child.can_write, child.can_exec))
    assert not excesses(family.parent.permissions, child)
    assert child.can_think


def test_one_that_may_not_subscribe_any_more_is_told_nothing_more(family: Family) -> None:
    family.set(family.operator, agent_id=family.child.agent_id, level="readonly")
    assert family.unsubscribed == []
    family.set(family.operator, agent_id=family.child.agent_id, level="minimal")
    assert family.unsubscribed == [family.child.agent_id, family.grandchild.agent_id]


def test_a_grandchild_stays_one_when_its_parent_ends(family: Family) -> None:
    family.end(family.child)
    request = GetPermsRequest(agent_id=family.grandchild.agent_id)
    assert get_perms(family.context(family.parent), request).success
    family.set(family.operator, agent_id=family.parent.agent_id, level="minimal")
    assert not family.grandchild.permissions.can_exec


def test_raising_a_parent_leaves_its_children_alone(family: Family) -> None:
    before = family.child.permissions
    family.set(family.operator, agent_id=family.parent.agent_id, level="unrestricted")
    assert family.child.permissions is before


def test_a_bad_request_changes_nothing(family: Family) -> None:
    before = family.child.permissions
    for fields in ({}, {"level": "x"}, {"permissions": {"can_fly": True}}):
        with pytest.raises(InvalidRequest):
            family.set(family.child, **fields)
    assert family.child.permissions is before


def test_connections_of_all_narrowed_agents_are_judged_again(family: Family) -> None:
    for agent in (family.parent, family.child, family.grandchild):
        agent.permissions = parse(None, {"can_http": True})
    family.set(family.parent, permissions={"max_exec_time_ms": 5})
    assert family.judged_again == []
    family.set(family.parent, permissions={"allowed_domains": ["api.test"]})
    expected = [one.agent_id for one in (family.parent, family.child, family.grandchild)]
    assert sorted(family.judged_again) == sorted(expected)
