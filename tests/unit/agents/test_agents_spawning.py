"""Spawns under way: what a cancelled, failed or overtaken one leaves, which is nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from clove.errors import CloveError, LimitExceeded, Unavailable
from clove.kernel.agents.agents import Agents
from clove.kernel.agents.logbook import Logbook, LogLimits
from clove.kernel.agents.settings import AgentLimits
from clove.kernel.principal import Kind, Principal
from clove.kernel.registry import Registry
from clove.messages.agents import SpawnRequest
from clove.policy import Level, for_level
from clove.sandbox.interface import ExitStatus

OPERATOR = Principal(1000, Kind.OPERATOR, for_level(Level.UNRESTRICTED))


class Box:
    """A process that dies when it is told to."""

    def __init__(self) -> None:
        self.pid = 77
        self.done: Deferred[ExitStatus] = Deferred()

    def terminate(self) -> None:
        self.done.callback(ExitStatus(signal=15))

    kill = terminate


class Scene:
    """All agents, with places and processes that are made when the test says so."""

    def __init__(self, **limits: int) -> None:
        self.registry = Registry()
        self.preparing: list[Deferred[None]] = []
        self.launching: list[Deferred[Box]] = []
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.forgotten: list[int] = []
        self.forgetting: Deferred[None] = succeed(None)
        self.events: list[str] = []
        self.clock = Clock()
        self.agents = Agents(
            self.clock,
            self.registry,
            AgentLimits(**limits),
            prepare=self.prepare,
            forget=self.forget,
            later=self.later,
            logbook=self.logbook,
            notify=lambda agent, event, facts: self.events.append(event),
            opened=lambda principal: self.opened.append(principal.agent_id),
            closed=lambda principal: self.closed.append(principal.agent_id),
        )

    async def prepare(self, principal: Principal, request: SpawnRequest, find: Any) -> Any:
        self.preparing.append(Deferred())
        await self.preparing[-1]

        def launch(agent: Any) -> Deferred[Box]:
            self.launching.append(Deferred())
            return self.launching[-1]

        return launch

    async def forget(self, agent_id: int) -> None:
        self.forgotten.append(agent_id)
        await self.forgetting

    def later(self, work: Awaitable[None]) -> None:
        Deferred.fromCoroutine(work)  # type: ignore[arg-type]

    def logbook(self, principal: Principal) -> Logbook:
        book = Logbook(None, None, LogLimits(), lambda: 0.0)  # type: ignore[arg-type]
        book.take = lambda stream, data: None  # type: ignore[method-assign]
        return book

    def spawn(self, name: str = "a", parent: Principal = OPERATOR, **fields: Any) -> Deferred[Any]:
        request = SpawnRequest(name=name, script="/s", **fields)
        permissions = for_level(Level.STANDARD)

        async def find() -> Any:
            raise AssertionError("this preparation needs no script")

        return Deferred.fromCoroutine(self.agents.spawn(parent, request, permissions, find))

    def left(self) -> list[object]:
        """What there is of agents."""
        open_still = set(self.opened) - set(self.closed)
        return [*self.agents.records(), *self.registry, *open_still]


def failure_of(deferred: Deferred[Any]) -> BaseException:
    caught: list[BaseException] = []

    def catch(failure: Failure) -> None:
        assert failure.value is not None
        caught.append(failure.value)

    deferred.addErrback(catch)
    [error] = caught
    return error


def test_a_spawn_that_is_cancelled_in_the_queue_gives_its_name_back() -> None:
    scene = Scene(spawns_at_once=1)
    first = scene.spawn("first")
    second = scene.spawn("second")
    second.cancel()
    assert isinstance(failure_of(second), CancelledError)
    assert scene.registry.named("second") is None
    assert scene.closed == [2]
    scene.preparing[0].callback(None)
    scene.launching[0].callback(Box())
    third = scene.spawn("second")
    assert len(scene.preparing) == 2
    third.cancel()
    failure_of(third)
    assert [agent.name for agent in scene.agents.records()] == ["first"]
    assert first.called


@pytest.mark.parametrize("prepared", [False, True], ids=["places", "process"])
def test_a_spawn_that_is_cancelled_under_way_leaves_nothing(prepared: bool) -> None:
    scene = Scene()
    spawning = scene.spawn()
    if prepared:
        scene.preparing[0].callback(None)
    spawning.cancel()
    assert isinstance(failure_of(spawning), CancelledError)
    assert scene.left() == []
    assert 1 in scene.forgotten


def test_a_name_is_free_only_when_the_places_are_gone() -> None:
    scene = Scene()
    scene.forgetting = Deferred()
    spawning = scene.spawn()
    spawning.cancel()
    assert scene.registry.named("a") is not None
    spawning.cancel()  # the kernel stops while it clears up: that goes on
    assert scene.registry.named("a") is not None
    scene.forgetting.callback(None)
    assert isinstance(failure_of(spawning), CancelledError)
    assert scene.left() == []


def test_who_waits_for_an_agent_whose_start_fails_is_told() -> None:
    scene = Scene()
    spawning = scene.spawn()
    scene.preparing[0].callback(None)
    [agent] = scene.agents.records()
    ended = agent.wait()
    agent.stop()
    scene.launching[0].errback(Unavailable("not here"))
    assert isinstance(failure_of(spawning), CloveError)
    assert ended.called
    assert scene.left() == []
    assert scene.events == []


def test_stopping_gives_up_the_spawns_under_way_and_those_that_wait() -> None:
    scene = Scene(spawns_at_once=2)
    runs, starts, waits = (scene.spawn(name) for name in ("runs", "starts", "waits"))
    scene.preparing[0].callback(None)
    scene.launching[0].callback(Box())
    scene.preparing[1].callback(None)
    assert len(scene.preparing) == 3
    stopped = Deferred.fromCoroutine(scene.agents.stop())
    assert stopped.called
    assert runs.called
    for spawning in (starts, waits):
        assert isinstance(failure_of(spawning), CancelledError)
    assert scene.left() == []
    assert isinstance(failure_of(scene.spawn("late")), Unavailable)


def test_spawns_under_way_count_as_agents() -> None:
    scene = Scene(max_agents=2)
    under_way = [scene.spawn("a"), scene.spawn("b")]
    assert isinstance(failure_of(scene.spawn("c")), LimitExceeded)
    for spawning in under_way:
        spawning.cancel()
        failure_of(spawning)
    assert scene.left() == []


def parent(family: int) -> Principal:
    return Principal(family, Kind.AGENT, for_level(Level.UNRESTRICTED))


async def running(scene: Scene, name: str, by: Principal = OPERATOR, **fields: Any) -> Any:
    """An agent that was spawned and runs, with what it runs in."""
    spawning = scene.spawn(name, by, **fields)
    scene.preparing[-1].callback(None)
    scene.launching[-1].callback(Box())
    return await spawning


async def test_a_family_has_its_share_of_all_agents_and_leaves_room_to_others() -> None:
    scene = Scene(max_agents=8)
    for number in range(4):
        await running(scene, f"a{number}", parent(500))
    for by in (parent(500), Principal(501, Kind.AGENT, OPERATOR.permissions, family=500)):
        error = failure_of(scene.spawn("more", by))
        assert isinstance(error, LimitExceeded)
        assert "your family of agents has 4 agents" in error.message
    for number in range(3):
        await running(scene, f"b{number}", parent(600))
    assert isinstance(failure_of(scene.spawn("third", parent(700))), LimitExceeded)
    await running(scene, "mine")  # the operator's


async def test_an_ended_agent_counts_until_its_directories_are_gone() -> None:
    scene = Scene(max_agents=2)
    agent = await running(scene, "a", parent(500))
    scene.forgetting = Deferred()
    agent.stop()
    assert isinstance(failure_of(scene.spawn("b", parent(500))), LimitExceeded)
    scene.forgetting.callback(None)
    await running(scene, "b", parent(500))


async def test_spawns_of_a_family_wait_for_each_other_and_not_others_for_them() -> None:
    scene = Scene(spawns_at_once=4, spawns_waiting=3)
    flood = [scene.spawn(f"a{number}", parent(500)) for number in range(5)]
    assert len(scene.preparing) == 2
    assert isinstance(failure_of(scene.spawn("a5", parent(500))), LimitExceeded)
    other = scene.spawn("b", parent(600))
    assert len(scene.preparing) == 3
    mine = scene.spawn("c")
    assert len(scene.preparing) == 4
    for spawning in (*flood, other, mine):
        spawning.addErrback(lambda failure: failure.trap(CancelledError))
        spawning.cancel()
    assert scene.left() == []


async def test_restarts_wait_for_the_same_turns_as_spawns() -> None:
    scene = Scene(spawns_at_once=4)
    agents = [
        await running(scene, f"a{number}", parent(500), restart_policy="always")
        for number in range(6)
    ]
    scene.launching.clear()
    for agent in agents:
        agent.sandbox.done.callback(ExitStatus(code=1))
    scene.clock.advance(1)
    assert len(scene.launching) == 2
    await running(scene, "b", parent(600))
    scene.launching[0].callback(Box())
    assert len(scene.launching) == 4  # two of the first family, the other's, and the next


def test_agents_spawn_each_other_only_so_deep() -> None:
    scene = Scene(max_depth=3)

    def child_of(parent: Principal) -> Principal:
        scene.spawn(f"a{parent.agent_id}", parent).addErrback(lambda _: None)
        return max(scene.registry, key=lambda one: one.agent_id)

    deepest = child_of(child_of(child_of(OPERATOR)))
    assert deepest.ancestors == (2, 1, OPERATOR.agent_id)
    refused = failure_of(scene.spawn("too-deep", deepest))
    assert isinstance(refused, LimitExceeded)
    assert "3 deep" in refused.message
    assert len(scene.opened) == 3
