"""A child's quota comes out of its parent's, whoever asks, at once or after one has ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import QuotaExceeded
from clove.kernel.llm.ledger import Ledger, Quota, Reservation

PARENT, CHILD, OTHER, GRANDCHILD = 1, 2, 3, 4
FREE = Quota()


class Family:
    """A ledger of a parent, two children and a grandchild, with quotas that can change."""

    def __init__(self, **quotas: Quota) -> None:
        self.quotas = {PARENT: FREE, CHILD: FREE, OTHER: FREE, GRANDCHILD: FREE}
        for name, quota in quotas.items():
            self.quotas[globals()[name]] = quota
        self.ledger = Ledger(self.quotas.get)
        self.ledger.open(PARENT)
        self.ledger.open(CHILD, PARENT)
        self.ledger.open(OTHER, PARENT)
        self.ledger.open(GRANDCHILD, CHILD)

    def ask(self, agent_id: int, tokens: int = 10) -> Reservation | None:
        return self.ledger.reserve(agent_id, self.quotas.get(agent_id, FREE), 1, tokens - 1)

    def use(self, agent_id: int, tokens: int = 10) -> None:
        reservation = self.ask(agent_id, tokens)
        assert reservation is not None
        self.ledger.settle(reservation, tokens)

    def end(self, agent_id: int) -> None:
        self.ledger.close(agent_id, self.quotas.pop(agent_id))


def test_calls_of_children_are_their_parents() -> None:
    family = Family(PARENT=Quota(max_calls=2), CHILD=Quota(max_calls=2), OTHER=Quota(max_calls=2))
    family.use(CHILD)
    family.use(OTHER)
    for agent_id in (PARENT, CHILD, OTHER, GRANDCHILD):
        with pytest.raises(QuotaExceeded) as refused:
            family.ask(agent_id)
        assert refused.value.rule == "max_llm_calls"
    assert "agent 1's family" in refused.value.message
    assert family.ledger.usage(PARENT) == (0, 0, 0)  # its own
    assert family.ledger.usage(CHILD) == (10, 1, 0)


def test_a_budget_larger_than_what_the_parent_has_left_is_bounded_by_that() -> None:
    family = Family(PARENT=Quota(max_tokens=100), CHILD=Quota(max_tokens=1000))
    family.use(PARENT, 60)
    reservation = family.ask(CHILD, 500)
    assert reservation is not None
    assert reservation.tokens == 40


def test_what_runs_in_the_family_counts() -> None:
    family = Family(PARENT=Quota(max_calls=1))
    running = family.ask(GRANDCHILD)
    assert running is not None
    assert family.ask(PARENT) is None
    assert family.ask(OTHER) is None
    family.ledger.release(running)
    assert family.ask(OTHER) is not None


def test_reported_usage_is_the_whole_familys() -> None:
    family = Family(PARENT=Quota(max_tokens=100))
    assert not family.ledger.charge(CHILD, FREE, 99, 1)
    assert family.ledger.charge(OTHER, FREE, 1, 1)
    with pytest.raises(QuotaExceeded):
        family.ask(PARENT)


def test_a_dead_parent_goes_on_bounding_its_children() -> None:
    family = Family(PARENT=Quota(max_calls=2))
    family.end(CHILD)  # which never asked
    family.use(OTHER)
    family.end(PARENT)
    family.end(OTHER)
    family.use(GRANDCHILD)
    with pytest.raises(QuotaExceeded):
        family.ask(GRANDCHILD)


def test_a_parents_quota_holds_as_it_is_now() -> None:
    family = Family()
    family.use(CHILD)
    family.quotas[PARENT] = Quota(max_calls=1)
    with pytest.raises(QuotaExceeded):
        family.ask(CHILD)
    family.quotas[PARENT] = Quota(max_calls=2)
    family.use(CHILD)


@pytest.mark.parametrize("quota", [Quota(max_tokens=10), Quota(max_calls=1)])
def test_reports_take_no_more_of_a_family_than_the_agent_may_use(quota: Quota) -> None:
    family = Family(PARENT=Quota(max_calls=5, max_tokens=100), CHILD=quota, GRANDCHILD=quota)
    for agent_id in (GRANDCHILD, CHILD, GRANDCHILD):
        for _ in range(20):
            family.ledger.charge(agent_id, quota, 10, 1)
    assert family.ledger.usage(CHILD)[:2] == (200, 20)  # as it said
    with pytest.raises(QuotaExceeded):
        family.ask(CHILD)
    family.use(PARENT)
    family.use(OTHER)


def test_usage_reported_by_an_agent_that_may_not_ask_takes_nothing_of_its_family() -> None:
    family = Family(PARENT=Quota(max_calls=2, max_tokens=100))
    for _ in range(20):
        family.ledger.charge(CHILD, Quota(2, 100), 1000, 1, may_ask=False)
    family.use(PARENT)


def test_a_call_that_outlives_its_agent_is_charged() -> None:
    family = Family(PARENT=Quota(max_calls=1))
    running = family.ask(OTHER)
    assert running is not None
    family.end(OTHER)
    family.ledger.settle(running, 10)
    with pytest.raises(QuotaExceeded):
        family.ask(PARENT)


def test_a_parent_that_has_asked_nothing_yet_has_its_account_with_its_first_child() -> None:
    quotas = {PARENT: Quota(max_calls=1), CHILD: FREE}
    ledger = Ledger(quotas.get)
    ledger.open(CHILD, PARENT)
    ledger.charge(CHILD, FREE, 10, 1)
    with pytest.raises(QuotaExceeded):
        ledger.reserve(PARENT, quotas[PARENT], 1, 1)
    ledger.close(PARENT, quotas.pop(PARENT))
    with pytest.raises(QuotaExceeded):
        ledger.reserve(CHILD, FREE, 1, 1)
    ledger.close(CHILD)
    assert ledger._accounts == {}


def test_an_agent_that_was_restored_keeps_its_account_when_children_of_its_earlier_life_end() -> (
    None
):
    family = Family(PARENT=Quota(max_calls=1))
    quota = family.quotas[PARENT]
    family.end(PARENT)  # its children still live
    family.quotas[PARENT] = quota
    family.use(PARENT)
    assert family.ledger.usage(PARENT) == (10, 1, 0)
    for agent_id in (CHILD, OTHER, GRANDCHILD):
        family.end(agent_id)
    assert family.ledger.usage(PARENT) == (10, 1, 0)
    with pytest.raises(QuotaExceeded):
        family.ask(PARENT)


def test_a_call_that_outlives_its_agent_is_no_call_of_the_one_that_is_restored() -> None:
    family = Family(PARENT=Quota(max_calls=1))
    quota = family.quotas[PARENT]
    running = family.ask(PARENT)
    family.end(PARENT)
    family.quotas[PARENT] = quota
    theirs = family.ask(PARENT)
    assert running is not None
    assert theirs is not None
    family.ledger.settle(running, 10)
    assert family.ask(PARENT) is None  # its one call runs
    family.ledger.settle(theirs, 20)
    assert family.ledger.usage(PARENT) == (20, 1, 0)
    for agent_id in (CHILD, OTHER, GRANDCHILD, PARENT):
        family.end(agent_id)
    assert family.ledger._accounts == {}


def test_nothing_is_kept_of_a_family_that_is_gone() -> None:
    family = Family()
    running = family.ask(GRANDCHILD)
    for agent_id in (PARENT, CHILD, OTHER, GRANDCHILD):
        family.end(agent_id)
    assert running is not None
    family.ledger.release(running)
    assert family.ledger._accounts == {}


def test_fifty_at_once_in_one_family() -> None:
    family = Family(PARENT=Quota(max_calls=5))
    for number in range(10, 60):
        family.ledger.open(number, (PARENT, CHILD, GRANDCHILD)[number % 3])
    let_through = [one for number in range(10, 60) if (one := family.ask(number)) is not None]
    assert len(let_through) == 5
    for reservation in let_through:
        family.ledger.settle(reservation, 1)
    for number in range(10, 60):
        with pytest.raises(QuotaExceeded):
            family.ask(number)


@given(
    calls=st.integers(1, 5),
    tokens=st.integers(20, 100),
    steps=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 50), st.booleans()), max_size=40),
)
def test_whatever_the_order_a_family_stays_within_its_quota(
    calls: int, tokens: int, steps: list[tuple[int, int, bool]]
) -> None:
    family = Family(PARENT=Quota(max_calls=calls, max_tokens=tokens))
    running: list[Reservation] = []
    spent = answered = 0
    for agent_id, number, ends in steps:
        if ends and running:
            one = running.pop()
            family.ledger.settle(one, one.tokens)
            spent, answered = spent + one.tokens, answered + 1
            continue
        try:
            reservation = family.ask(agent_id, number)
        except QuotaExceeded:
            continue
        if reservation is not None:
            running.append(reservation)
        assert spent + sum(one.tokens for one in running) <= tokens
        assert answered + len(running) <= calls
