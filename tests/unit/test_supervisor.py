"""What is common to all restarts; tests/unit/agents/test_restart.py has the policy of agents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.kernel.llm import process
from clove.sandbox.zygote import zygote
from clove.supervisor import RestartPolicy, Supervisor

POLICY = RestartPolicy(first_delay=0.5, longest_delay=5, healthy_after=60, most_false_starts=3)


def test_delays_double_until_the_longest_and_for_ever() -> None:
    restarts = Supervisor(POLICY)
    delays = [restarts.ended(float(now)).delay for now in range(3000)]
    assert delays[:5] == [0.5, 1, 2, 4, 5]
    assert set(delays[5:]) == {5}
    assert restarts.restarts == 3000


def test_a_run_that_served_for_long_begins_the_delays_anew() -> None:
    restarts = Supervisor(POLICY)
    assert [restarts.ended(0.0).delay for _ in range(3)] == [0.5, 1, 2]
    assert restarts.ended(70.0, served=59.9).delay == 4
    assert restarts.ended(170.0, served=60).delay == 0.5


def test_to_have_waited_for_long_is_not_to_have_served() -> None:
    restarts = Supervisor(POLICY)
    restarts.ended(0.0)
    assert restarts.ended(10_000.0).delay == 1


def test_false_starts_in_a_row_make_it_broken_until_it_serves() -> None:
    restarts = Supervisor(POLICY)
    restarts.ended(0.0)
    restarts.ended(1.0)
    restarts.ready()
    restarts.ended(2.0, served=0.1)
    assert not restarts.broken
    for _ in range(3):
        assert not restarts.broken
        restarts.ended(3.0)
    assert restarts.broken
    assert restarts.ended(4.0).action == "restart"
    restarts.ready()
    assert not restarts.broken


def test_without_a_number_of_false_starts_nothing_is_broken() -> None:
    restarts = Supervisor(RestartPolicy())
    for _ in range(99):
        restarts.ended(0.0)
    assert not restarts.broken


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (process.RESTARTS, [1, 2, 4, 8, 16, 30, 30]),
        (zygote.RESTARTS, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]),
    ],
)
def test_the_kernels_own_processes_are_started_again_for_ever(
    policy: RestartPolicy, delays: list[float]
) -> None:
    restarts = Supervisor(policy)
    for delay in delays:
        verdict = restarts.ended(0.0)
        assert verdict.action == "restart"
        assert verdict.delay == pytest.approx(delay)
    assert restarts.ended(1e6, served=60).delay == delays[0]


ENDS = st.tuples(st.floats(0, 200), st.booleans(), st.none() | st.floats(0, 200))
POLICIES = st.builds(
    RestartPolicy,
    when=st.sampled_from(["never", "on-failure", "always"]),
    first_delay=st.floats(0.01, 2),
    longest_delay=st.floats(2, 60),
    memory=st.floats(0, 500),
    healthy_after=st.floats(1, 100),
    max_restarts=st.none() | st.integers(0, 5),
    window=st.floats(0, 500),
)


@given(POLICIES, st.lists(ENDS, max_size=40))
def test_every_verdict_is_one_that_the_policy_allows(
    policy: RestartPolicy, ends: list[tuple[float, bool, float | None]]
) -> None:
    restarts, now, delay = Supervisor(policy), 0.0, 0.0
    for gap, failed, served in ends:
        now += gap
        before = restarts.restarts
        verdict = restarts.ended(now, failed=failed, served=served)
        wanted = policy.when == "always" or (policy.when == "on-failure" and failed)
        assert (verdict.action == "stop") is not wanted
        assert restarts.restarts == before + (verdict.action == "restart")
        if verdict.action == "escalate":
            assert policy.max_restarts is not None
        if verdict.action == "restart":
            assert policy.first_delay <= verdict.delay <= policy.longest_delay
            assert verdict.delay <= max(2 * delay, policy.first_delay)
            delay = verdict.delay
