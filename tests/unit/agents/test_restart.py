"""Restart policies: when, after which wait, and when no more."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clove.errors import InvalidRequest
from clove.kernel.agents.restart import BACKOFF_MEMORY, MAX_BACKOFF, Restart, Verdict
from clove.messages import decode
from clove.messages.agents import SpawnRequest


def test_never_restarts_nothing() -> None:
    assert Restart("never").after_exit(True, 0).action == "stop"


def test_on_failure_leaves_a_clean_exit_alone() -> None:
    restart = Restart("on-failure")
    assert restart.after_exit(False, 0).action == "stop"
    assert restart.after_exit(True, 0).action == "restart"


def test_always_restarts_a_clean_exit_too() -> None:
    assert Restart("always").after_exit(False, 0).action == "restart"


def test_the_wait_doubles_up_to_a_minute() -> None:
    restart = Restart("always", max_restarts=9, window=10_000)
    delays = [restart.after_exit(True, now).delay for now in range(9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_too_many_in_the_window_escalate() -> None:
    restart = Restart("always", max_restarts=2, window=100)
    assert [restart.after_exit(True, now).action for now in (0, 1, 2)] == [
        "restart",
        "restart",
        "escalate",
    ]


def test_what_is_older_than_the_window_is_forgiven() -> None:
    restart = Restart("always", max_restarts=1, window=100)
    restart.after_exit(True, 0)
    assert restart.after_exit(True, 101) == Verdict("restart", 2)
    assert restart.after_exit(True, 101 + BACKOFF_MEMORY + 1) == Verdict("restart", 1)
    assert restart.count == 3


def test_a_short_window_makes_no_agent_start_more_often() -> None:
    restart = Restart("always", max_restarts=10_000, window=1)
    now, delays = 0.0, []
    for _ in range(8):
        delays.append(restart.after_exit(True, now).delay)
        now += delays[-1]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("fields", [{"restart_window": 1e-9}, {"max_restarts": 10_001}])
def test_what_would_be_no_bound_on_restarts_is_refused(fields: dict[str, float]) -> None:
    payload = msgspec.json.encode({"name": "a", "script": "/s", **fields})
    with pytest.raises(InvalidRequest, match=next(iter(fields))):
        decode(SpawnRequest, payload)


@given(st.lists(st.floats(0, 1000), max_size=40), st.integers(0, 6), st.floats(1, 500))
def test_never_more_than_the_limit_within_the_window(
    gaps: list[float], most: int, window: float
) -> None:
    restart = Restart("always", max_restarts=most, window=window)
    now, granted = 0.0, []
    for gap in gaps:
        now += gap
        verdict = restart.after_exit(True, now)
        if verdict.action == "restart":
            granted.append(now)
            assert 1 <= verdict.delay <= MAX_BACKOFF
        assert sum(1 for at in granted if now - at <= window) <= most
