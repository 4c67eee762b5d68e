"""User ids of agents: no two that live have the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clove.errors import LimitExceeded
from clove.kernel.launch.allocation import UserLeases
from clove.sandbox.zygote.ids import IdRange

BASE = 0x70000000


def test_a_user_id_is_that_of_the_agents_id_where_it_is_free() -> None:
    leases = UserLeases(IdRange(BASE))
    assert [leases.lease(id) for id in (1, 65535, 65536)] == [BASE + 1, BASE + 65535, BASE]


def test_a_live_agents_user_id_is_leased_to_no_other() -> None:
    leases = UserLeases(IdRange(BASE))
    assert leases.lease(5) == BASE + 5
    assert leases.lease(65536 + 5) == BASE + 6
    assert leases.lease(65536 + 6) == BASE + 7
    leases.give_back(5)
    assert leases.lease(2 * 65536 + 5) == BASE + 5
    leases.lease(65535)
    assert leases.lease(2 * 65536 - 1) == BASE


def test_when_all_are_leased_the_refusal_says_what_to_do() -> None:
    leases = UserLeases(IdRange(BASE, 4))
    for id in range(4):
        leases.lease(id)
    with pytest.raises(LimitExceeded, match="all 4 user ids for agents") as caught:
        leases.lease(4)
    assert "end some agents" in caught.value.hint
    leases.give_back(2)
    leases.give_back(2)
    leases.give_back(99)
    assert leases.lease(4) == BASE + 2


def test_a_dry_run_holds_the_user_id_beyond_its_agents_end() -> None:
    leases = UserLeases(IdRange(BASE))
    leases.lease(5)
    leases.share(1 << 40, 5)
    leases.share((1 << 40) + 1, 6)  # which has none
    leases.give_back(5)
    assert leases.lease(65536 + 5) == BASE + 6
    leases.give_back(1 << 40)
    leases.give_back((1 << 40) + 1)
    assert leases.lease(2 * 65536 + 5) == BASE + 5


def test_they_are_those_that_the_zygote_knows() -> None:
    users = IdRange(BASE, 8)
    leases = UserLeases(users)
    [_, (inside, outside, count)] = users.to_map()
    for id in range(100, 108):
        uid = leases.lease(id)
        assert outside <= uid < outside + count
        assert inside <= users.first_inside + uid - users.base < inside + count
        assert uid != users.zygote


@settings(deadline=None, derandomize=True, database=None, max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=100))
def test_no_two_that_live_have_the_same(events: list[tuple[bool, int]]) -> None:
    leases = UserLeases(IdRange(BASE, 7))
    live: dict[int, int] = {}
    for begins, id in events:
        if not begins:
            live.pop(id, None)
            leases.give_back(id)
        elif id not in live:
            try:
                uid = leases.lease(id)
            except LimitExceeded:
                assert len(live) == 7
                continue
            assert uid not in live.values()
            live[id] = uid
