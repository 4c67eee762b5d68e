"""Which processors an agent's programs run on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from clove.kernel.launch.limits import AgentLimits
from clove.kernel.launch.resource_limits import settle_limits
from clove.messages.agents import LimitsRequest
from clove.sandbox.inside.processors import narrow, window


@pytest.fixture
def allowed() -> Iterator[set[int]]:
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("most", "start", "chosen"),
    [(2, 0, [2, 3]), (2, 37, [5, 8]), (3, 3, [2, 8, 9]), (5, 2, [2, 3, 5, 8, 9])],
)
def test_they_lie_side_by_side(most: int, start: int, chosen: list[int]) -> None:
    assert window([2, 3, 5, 8, 9], most, start) == chosen


def test_a_process_runs_on_as_many_as_are_named(allowed: set[int]) -> None:
    narrow(0)
    narrow(len(allowed) + 1)
    assert os.sched_getaffinity(0) == allowed
    narrow(1)
    found = os.sched_getaffinity(0)
    assert len(found) == 1
    assert found <= allowed


@pytest.mark.parametrize(
    ("quota", "least", "found"),
    [(100_000, 4, 4), (450_000, 4, 5), (1_600_000, 4, 16), (100_000, 1, 1), (100_000, 0, 0)],
)
def test_their_number_follows_the_quota(quota: int, least: int, found: int) -> None:
    request = LimitsRequest(cpu_quota=quota, cpu_period=100_000)
    assert settle_limits(request, AgentLimits()).processors(least) == found
