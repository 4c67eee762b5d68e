"""Ids and names."""

from __future__ import annotations

import pytest

from clove.errors import AlreadyExists, InvalidRequest, NotFound
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry, check_name
from clove.policy import Level, for_level


def principal(registry: Registry, name: str = "", kind: Kind = Kind.AGENT) -> Principal:
    made = Principal(registry.new_id(), kind, for_level(Level.STANDARD), name=name)
    made.connections = 1
    registry.add(made)
    return made


@pytest.mark.parametrize(
    "name", ["", "/", "a/b", "..", "a..b", "a\0", "x" * 129, " lead", "\x1b[2J", "a\nb", "é", "-x"]
)
def test_names_that_would_be_trouble_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "researcher-1", "A.b_c@d:e", "two words", "x" * 128])
def test_ordinary_names_pass(name: str) -> None:
    assert check_name(name) == name


def test_ids_are_never_reused() -> None:
    registry = Registry()
    seen = set()
    for _ in range(100):
        one = principal(registry, "same")
        assert one.agent_id not in seen
        seen.add(one.agent_id)
        registry.remove(one)


def test_a_name_in_use_is_refused_and_free_after_its_bearer() -> None:
    registry = Registry()
    first = principal(registry, "lead")
    with pytest.raises(AlreadyExists):
        principal(registry, "lead")
    registry.remove(first)
    assert principal(registry, "lead").name == "lead"


def test_renaming_frees_the_earlier_name() -> None:
    registry = Registry()
    one = principal(registry, "old", Kind.OPERATOR)
    registry.rename(one, "new")
    assert registry.named("old") is None
    assert registry.find(name="new") is one


def test_an_agent_keeps_the_name_it_was_spawned_under_for_its_life() -> None:
    registry = Registry()
    one = principal(registry, "spawned")
    for name in ("alias", "other", "spawned", "last"):
        registry.rename(one, name)
    assert registry.named("spawned") is registry.named("last") is one
    assert registry.named("alias") is registry.named("other") is None
    with pytest.raises(AlreadyExists):
        principal(registry, "spawned")
    registry.remove(one)
    assert registry.named("spawned") is registry.named("last") is None


def test_renaming_to_the_same_name_changes_nothing() -> None:
    registry = Registry()
    one = principal(registry, "x")
    registry.rename(one, "x")
    assert registry.named("x") is one


def waiting(registry: Registry, kind: Kind, family: int = 0) -> Principal:
    gone = Principal(registry.new_id(), kind, for_level(Level.STANDARD), name="x", family=family)
    registry.add(gone)
    return gone


def test_the_name_of_an_operator_that_may_come_back_is_free_to_operators() -> None:
    registry = Registry()
    gone = waiting(registry, Kind.OPERATOR)
    taker = principal(registry, "", Kind.OPERATOR)
    registry.rename(taker, "x")
    assert registry.named("x") is taker
    assert gone.name == ""
    registry.remove(gone)
    assert registry.named("x") is taker


def test_an_operator_can_spawn_an_agent_under_the_name_of_one_that_may_come_back() -> None:
    registry = Registry()
    waiting(registry, Kind.OPERATOR)
    agent = principal(registry, "x")
    assert registry.named("x") is agent


@pytest.mark.parametrize(("kind", "family"), [(Kind.OPERATOR, 0), (Kind.GUEST, -1000)])
def test_no_agent_or_other_user_gets_a_name_while_its_holder_may_come_back(
    kind: Kind, family: int
) -> None:
    registry = Registry()
    gone = waiting(registry, kind, family)
    agent = principal(registry)
    child = Principal(registry.new_id(), Kind.AGENT, agent.permissions, name="x", family=7)
    guest = Principal(registry.new_id(), Kind.GUEST, agent.permissions, family=-1001)
    for who in (agent, guest):
        with pytest.raises(AlreadyExists):
            registry.rename(who, "x")
    with pytest.raises(AlreadyExists):
        registry.add(child)
    assert registry.named("x") is gone


def test_a_guest_takes_the_name_of_its_own_lost_connection() -> None:
    registry = Registry()
    waiting(registry, Kind.GUEST, -1000)
    again = Principal(registry.new_id(), Kind.GUEST, for_level(Level.STANDARD), family=-1000)
    registry.rename(again, "x")
    assert registry.named("x") is again


def test_an_unknown_agent_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(NotFound) as caught:
        Registry().find(agent_id=7)
    assert "LIST" in caught.value.hint
