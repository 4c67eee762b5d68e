"""The restart policy of agents: when, after which delay, and when no more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest
from clove.kernel.agents.restart import LONGEST_DELAY, MEMORY, restart_policy
from clove.messages import decode
from clove.messages.agents import SpawnRequest
from clove.supervisor import Supervisor, Verdict


def supervisor(*policy: Any, **fields: Any) -> Supervisor:
    return Supervisor(restart_policy(*policy, **fields))


def test_never_restarts_nothing() -> None:
    assert supervisor("never").ended(0).action == "stop"
    assert supervisor().ended(0).action == "stop"


def test_on_failure_leaves_a_clean_exit_alone() -> None:
    restarts = supervisor("on-failure")
    assert restarts.ended(0, failed=False).action == "stop"
    assert restarts.ended(0).action == "restart"


def test_always_restarts_a_clean_exit_too() -> None:
    assert supervisor("always").ended(0, failed=False).action == "restart"


def test_the_delay_doubles_up_to_a_minute() -> None:
    restarts = supervisor("always", max_restarts=9, window=10_000)
    delays = [restarts.ended(now).delay for now in range(9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_too_many_in_the_window_escalate() -> None:
    restarts = supervisor("always", max_restarts=2, window=100)
    assert [restarts.ended(now).action for now in (0, 1, 2)] == ["restart", "restart", "escalate"]


def test_what_is_older_than_the_window_is_forgiven() -> None:
    restarts = supervisor("always", max_restarts=1, window=100)
    restarts.ended(0)
    assert restarts.ended(101) == Verdict("restart", 2)
    assert restarts.ended(101 + MEMORY + 1) == Verdict("restart", 1)
    assert restarts.restarts == 3


def test_a_short_window_makes_no_agent_start_more_often() -> None:
    restarts = supervisor("always", max_restarts=10_000, window=1)
    now, delays = 0.0, []
    for _ in range(8):
        delays.append(restarts.ended(now).delay)
        now += delays[-1]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


def test_as_many_as_a_spawn_can_ask_for_have_a_delay() -> None:
    restarts = supervisor("always", max_restarts=10_000, window=86400 * 365)
    verdicts = [restarts.ended(float(now)) for now in range(10_001)]
    assert {verdict.delay for verdict in verdicts[7:-1]} == {LONGEST_DELAY}
    assert verdicts[-1].action == "escalate"


@pytest.mark.parametrize("fields", [{"restart_window": 1e-9}, {"max_restarts": 10_001}])
def test_what_would_be_no_bound_on_restarts_is_refused(fields: dict[str, float]) -> None:
    payload = msgspec.json.encode({"name": "a", "script": "/s", **fields})
    with pytest.raises(InvalidRequest, match=next(iter(fields))):
        decode(SpawnRequest, payload)


@given(st.lists(st.floats(0, 1000), max_size=40), st.integers(0, 6), st.floats(1, 500))
def test_never_more_than_the_limit_within_the_window(
    delays: list[float], most: int, window: float
) -> None:
    restarts = supervisor("always", max_restarts=most, window=window)
    now, granted = 0.0, []
    for gap in delays:
        now += gap
        verdict = restarts.ended(now)
        if verdict.action == "restart":
            granted.append(now)
            assert 1 <= verdict.delay <= LONGEST_DELAY
        assert sum(1 for at in granted if now - at <= window) <= most
