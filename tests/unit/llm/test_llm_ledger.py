"""Quotas: reserved, settled, given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import QuotaExceeded
from clove.kernel.llm.ledger import Ledger, Quota, Reservation

FREE = Quota()


def reserved(ledger: Ledger, quota: Quota, wanted: int) -> Reservation:
    found = ledger.reserve(1, quota, 10, wanted)
    assert found is not None
    return found


def test_without_a_quota_usage_is_only_counted() -> None:
    ledger = Ledger()
    reservation = ledger.reserve(1, FREE, 10, 100)
    assert reservation is not None
    assert reservation.tokens == 0
    ledger.settle(reservation, 42)
    assert ledger.usage(1) == (42, 1, 0)


def test_running_calls_count_against_the_quota_of_calls() -> None:
    ledger, quota = Ledger(), Quota(max_calls=2)
    first, second = ledger.reserve(1, quota, 1, 1), ledger.reserve(1, quota, 1, 1)
    assert first is not None
    assert second is not None
    assert ledger.reserve(1, quota, 1, 1) is None  # it may become free
    ledger.release(first)
    third = ledger.reserve(1, quota, 1, 1)
    assert third is not None
    ledger.settle(second, 1)
    ledger.settle(third, 1)
    with pytest.raises(QuotaExceeded) as refused:
        ledger.reserve(1, quota, 1, 1)
    assert refused.value.rule == "max_llm_calls"


def test_answer_is_cut_to_what_is_left_of_the_tokens() -> None:
    ledger, quota = Ledger(), Quota(max_tokens=100)
    assert reserved(ledger, quota, 4096).tokens == 100


def test_second_call_waits_rather_than_gets_the_crumbs() -> None:
    ledger, quota = Ledger(), Quota(max_tokens=100)
    first = reserved(ledger, quota, 60)
    assert first.tokens == 70
    assert ledger.reserve(1, quota, 10, 60) is None
    assert reserved(ledger, quota, 20).tokens == 30
    ledger.settle(first, 15)
    assert ledger.usage(1) == (15, 1, 100)


def test_question_that_alone_takes_all_is_refused() -> None:
    with pytest.raises(QuotaExceeded, match="question alone") as refused:
        Ledger().reserve(1, Quota(max_tokens=100), 100, 1)
    assert refused.value.rule == "max_llm_tokens"


def test_reported_usage_counts_and_tells_when_nothing_is_left() -> None:
    ledger, quota = Ledger(), Quota(max_tokens=100, max_calls=9)
    assert not ledger.charge(1, quota, 99, 1)
    assert ledger.charge(1, quota, 1, 0)
    with pytest.raises(QuotaExceeded):
        ledger.check(1, quota, 0)
    assert ledger.usage(1) == (100, 1, 100)


def test_agents_have_separate_accounts() -> None:
    ledger, quota = Ledger(), Quota(max_calls=1)
    assert ledger.reserve(1, quota, 1, 1)
    assert ledger.reserve(2, quota, 1, 1)


def test_closed_account_takes_no_late_settlement() -> None:
    ledger = Ledger()
    reservation = ledger.reserve(1, FREE, 1, 1)
    assert reservation is not None
    ledger.close(1)
    ledger.settle(reservation, 5)
    assert ledger.usage(1) == (0, 0, 0)


@given(
    st.integers(1, 6),
    st.integers(50, 400),
    st.lists(st.tuples(st.sampled_from(["ask", "settle", "release"]), st.integers(1, 80))),
)
def test_whatever_the_order_usage_stays_within_the_quota(
    calls: int, tokens: int, steps: list[tuple[str, int]]
) -> None:
    """As long as no call uses more than its share, which `max_tokens` sees to."""
    ledger, quota = Ledger(), Quota(max_calls=calls, max_tokens=tokens)
    running: list[Reservation] = []
    for step, number in steps:
        if step == "ask":
            try:
                reservation = ledger.reserve(1, quota, number, number)
            except QuotaExceeded:
                continue
            if reservation is None:
                assert running
            else:
                assert reservation.tokens > number
                running.append(reservation)
        elif running:
            reservation = running.pop(number % len(running))
            if step == "settle":
                ledger.settle(reservation, reservation.tokens)
            else:
                ledger.release(reservation)
        used, made, _ = ledger.usage(1)
        assert used + sum(one.tokens for one in running) <= tokens
        assert made + len(running) <= calls
