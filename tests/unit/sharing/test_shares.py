"""How shared resources are divided."""

from __future__ import annotations

import pytest

from clove.errors import LimitExceeded
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level
from clove.sharing.shares import OPERATORS, ShareLimits, Shares


def shares(total: int = 16, **options: bool) -> Shares:
    return Shares("commands", "limits.exec.total", total, ShareLimits(), **options)


def filled(resource: Shares, family: int) -> int:
    """Take all that a family can have; how much that is."""
    taken = 0
    while resource.refusal(family) is None:
        resource.take(family)
        taken += 1
    return taken


def test_a_family_has_half_of_what_operators_leave() -> None:
    resource = shares(16)
    assert filled(resource, 7) == resource.per_family == 7
    with pytest.raises(LimitExceeded, match="your family of agents has 7 commands, its share"):
        resource.take(7)


def test_a_second_family_and_operators_have_room_beside_a_family_that_took_all() -> None:
    resource = shares(16)
    filled(resource, 7)
    assert filled(resource, 8) == 7
    assert filled(resource, OPERATORS) == 2


def test_all_families_together_leave_the_operators_their_part() -> None:
    resource = shares(16)
    for family in range(1, 20):
        filled(resource, family)
    assert resource.used == 14
    with pytest.raises(LimitExceeded, match="the limit is 14, and 2 kept for operators") as refused:
        resource.take(30)
    assert "limits.exec.total" in refused.value.hint
    assert filled(resource, OPERATORS) == 2


def test_operators_may_have_all_of_it() -> None:
    assert filled(shares(16), OPERATORS) == 16


def test_what_is_given_back_can_be_had_again_and_leaves_nothing() -> None:
    resource = shares(16)
    resource.take(7, 5)
    resource.give(7, 3)
    assert (resource.used, resource.of(7)) == (2, 2)
    resource.give(7, 2)
    assert (resource.used, resource.of(7)) == (0, 0)
    assert not resource._held


def test_what_cannot_be_refused_counts_all_the_same() -> None:
    resource = shares(16)
    resource.add(7, 9)
    assert resource.refusal(7) is not None
    assert resource.of(7) == 9


def test_bytes_are_divided_more_finely() -> None:
    resource = shares(256 << 20, memory=True)
    assert resource.for_operators == 32 << 20
    assert resource.per_family == 56 << 20


def test_nothing_is_kept_where_operators_have_no_use_for_it() -> None:
    resource = shares(16, reserve=False)
    assert (resource.for_operators, resource.per_family) == (0, 8)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_smallest_total_is_of_use(total: int) -> None:
    assert shares(total).refusal(7) is None


def test_a_family_of_one_may_be_given_all_of_it() -> None:
    resource = Shares("commands", "x", 16, ShareLimits(family=1, operators=0))
    assert filled(resource, 7) == 16


def principal(agent_id: int, kind: Kind, family: int = 0) -> Principal:
    return Principal(agent_id, kind, for_level(Level.STANDARD), family=family)


def test_an_agent_is_of_its_ancestors_family_and_operators_are_of_one() -> None:
    assert principal(5, Kind.OPERATOR).family == principal(6, Kind.OPERATOR).family == OPERATORS
    assert principal(7, Kind.AGENT).family == 7
    assert principal(8, Kind.AGENT, 7).family == 7
    assert principal(9, Kind.GUEST, -1000).family == -1000
