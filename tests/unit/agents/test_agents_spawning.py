"""Spawns under way: what a cancelled, failed or overtaken one leaves, which is nothing."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.kernel.principal import Kind, Principal
from clove.sandbox.interface import ExitStatus
from tests.unit.agents.spawning import OPERATOR, Box, Fixture, failure_of, parent, running


def test_a_spawn_that_is_cancelled_in_the_queue_gives_its_name_back() -> None:
    fixture = Fixture(spawns_at_once=1)
    first = fixture.spawn("first")
    second = fixture.spawn("second")
    second.cancel()
    assert isinstance(failure_of(second), CancelledError)
    assert fixture.registry.named("second") is None
    assert fixture.closed == [2]
    fixture.preparing[0].callback(None)
    fixture.launching[0].callback(Box())
    third = fixture.spawn("second")
    assert len(fixture.preparing) == 2
    third.cancel()
    failure_of(third)
    assert [agent.name for agent in fixture.agents.records()] == ["first"]
    assert first.called


@pytest.mark.parametrize("prepared", [False, True], ids=["provision", "process"])
def test_a_spawn_that_is_cancelled_under_way_leaves_nothing(prepared: bool) -> None:
    fixture = Fixture()
    spawning = fixture.spawn()
    if prepared:
        fixture.preparing[0].callback(None)
    spawning.cancel()
    assert isinstance(failure_of(spawning), CancelledError)
    assert fixture.left() == []
    assert 1 in fixture.released


def test_a_name_is_free_only_when_all_is_released() -> None:
    fixture = Fixture()
    fixture.releasing = Deferred()
    spawning = fixture.spawn()
    spawning.cancel()
    assert fixture.registry.named("a") is not None
    spawning.cancel()  # the kernel stops while it clears up: that goes on
    assert fixture.registry.named("a") is not None
    fixture.releasing.callback(None)
    assert isinstance(failure_of(spawning), CancelledError)
    assert fixture.left() == []


def test_what_waits_for_an_agent_that_fails_to_start_is_told() -> None:
    fixture = Fixture()
    spawning = fixture.spawn()
    fixture.preparing[0].callback(None)
    [agent] = fixture.agents.records()
    ended = agent.wait()
    agent.stop()
    fixture.launching[0].errback(Unavailable("not here"))
    assert isinstance(failure_of(spawning), CloveError)
    assert ended.called
    assert fixture.left() == []
    assert fixture.events == []


def test_stopping_gives_up_the_spawns_under_way_and_those_that_wait() -> None:
    fixture = Fixture(spawns_at_once=2)
    runs, starts, waits = (fixture.spawn(name) for name in ("runs", "starts", "waits"))
    fixture.preparing[0].callback(None)
    fixture.launching[0].callback(Box())
    fixture.preparing[1].callback(None)
    assert len(fixture.preparing) == 3
    stopped = Deferred.fromCoroutine(fixture.agents.stop())
    assert stopped.called
    assert runs.called
    for spawning in (starts, waits):
        assert isinstance(failure_of(spawning), CancelledError)
    assert fixture.left() == []
    assert isinstance(failure_of(fixture.spawn("late")), Unavailable)


def test_spawns_under_way_count_as_agents() -> None:
    fixture = Fixture(max_agents=2)
    under_way = [fixture.spawn("a"), fixture.spawn("b")]
    assert isinstance(failure_of(fixture.spawn("c")), LimitExceeded)
    for spawning in under_way:
        spawning.cancel()
        failure_of(spawning)
    assert fixture.left() == []


async def test_a_family_has_its_share_of_all_agents_and_leaves_room_to_others() -> None:
    fixture = Fixture(max_agents=8)
    for number in range(4):
        await running(fixture, f"a{number}", parent(500))
    for by in (parent(500), Principal(501, Kind.AGENT, OPERATOR.permissions, family=500)):
        error = failure_of(fixture.spawn("more", by))
        assert isinstance(error, LimitExceeded)
        assert "your family of agents has 4 agents" in error.message
    for number in range(3):
        await running(fixture, f"b{number}", parent(600))
    assert isinstance(failure_of(fixture.spawn("third", parent(700))), LimitExceeded)
    await running(fixture, "mine")  # the operator's


async def test_an_ended_agent_counts_until_its_directories_are_gone() -> None:
    fixture = Fixture(max_agents=2)
    agent = await running(fixture, "a", parent(500))
    fixture.releasing = Deferred()
    agent.stop()
    assert isinstance(failure_of(fixture.spawn("b", parent(500))), LimitExceeded)
    fixture.releasing.callback(None)
    await running(fixture, "b", parent(500))


async def test_spawns_of_a_family_wait_for_each_other_and_not_others_for_them() -> None:
    fixture = Fixture(spawns_at_once=4, spawns_waiting=3)
    flood = [fixture.spawn(f"a{number}", parent(500)) for number in range(5)]
    assert len(fixture.preparing) == 2
    assert isinstance(failure_of(fixture.spawn("a5", parent(500))), LimitExceeded)
    other = fixture.spawn("b", parent(600))
    assert len(fixture.preparing) == 3
    mine = fixture.spawn("c")
    assert len(fixture.preparing) == 4
    for spawning in (*flood, other, mine):
        spawning.addErrback(lambda failure: failure.trap(CancelledError))
        spawning.cancel()
    assert fixture.left() == []


async def test_restarts_wait_for_the_same_turns_as_spawns() -> None:
    fixture = Fixture(spawns_at_once=4)
    agents = [
        await running(fixture, f"a{number}", parent(500), restart_policy="always")
        for number in range(6)
    ]
    fixture.launching.clear()
    for agent in agents:
        agent.sandbox.done.callback(ExitStatus(code=1))
    fixture.clock.advance(1)
    assert len(fixture.launching) == 2
    await running(fixture, "b", parent(600))
    fixture.launching[0].callback(Box())
    assert len(fixture.launching) == 4  # two of the first family, the other's, and the next


def test_agents_spawn_each_other_only_so_deep() -> None:
    fixture = Fixture(max_depth=3)

    def child_of(parent: Principal) -> Principal:
        fixture.spawn(f"a{parent.agent_id}", parent).addErrback(lambda _: None)
        return max(fixture.registry, key=lambda one: one.agent_id)

    deepest = child_of(child_of(child_of(OPERATOR)))
    assert deepest.ancestors == (2, 1, OPERATOR.agent_id)
    refused = failure_of(fixture.spawn("too-deep", deepest))
    assert isinstance(refused, LimitExceeded)
    assert "3 deep" in refused.message
    assert len(fixture.opened) == 3
