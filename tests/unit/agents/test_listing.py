"""LIST and PRUNE of many agents, in several turns of the caller's family."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from twisted.internet.defer import Deferred

from clove.kernel.calls import listing, managing
from clove.kernel.connection.limits import ConnectionLimits
from clove.kernel.context import Context, Kernel
from clove.kernel.loop_time import LoopTime
from clove.kernel.principal import Kind, Principal
from clove.messages.agents import AgentEntry, ListRequest
from clove.policy import Level, for_level
from tests.reactor_turns import turn
from tests.unit.agents.agent_fixture import AgentFixture

BEGUN = ConnectionLimits().long_work
TURN = 0.0005


def test_a_few_are_shown_in_each_turn_and_all_in_the_end() -> None:
    agent = AgentFixture()
    clock = agent.clock
    known = SimpleNamespace(
        live=lambda: iter([agent.agent] * 300), ended=lambda: iter([agent.agent] * 3)
    )
    time = LoopTime(clock, TURN, BEGUN)
    kernel = cast(Kernel, SimpleNamespace(agents=SimpleNamespace(known=known), loop_time=time))
    caller = Principal(9, Kind.AGENT, for_level(Level.STANDARD))

    def shown(*about: Any) -> AgentEntry:
        clock.rightNow += TURN / 20
        return entry_of(*about)

    entry_of = listing.entry_of
    with mock.patch.object(listing, "entry_of", side_effect=shown) as seen:
        answer = listing.list_agents(Context(kernel, caller), ListRequest(all=True))
        assert not isinstance(answer, list)
        entries: list[list[AgentEntry]] = []
        Deferred.fromCoroutine(answer).addCallback(entries.append)
        counts = [seen.call_count]
        while not entries:
            turn(clock)
            counts.append(seen.call_count)
    assert [entry.id for entry in entries[0]] == [agent.agent.agent_id] * 303
    assert max(after - before for before, after in itertools.pairwise(counts)) <= 40


def test_a_listing_that_waits_to_be_begun_holds_no_agents() -> None:
    agent = AgentFixture()
    clock = agent.clock
    live = mock.Mock(side_effect=lambda: iter([agent.agent] * 300))
    time = LoopTime(clock, TURN, BEGUN)
    known = SimpleNamespace(live=live)
    kernel = cast(Kernel, SimpleNamespace(agents=SimpleNamespace(known=known), loop_time=time))
    caller = Principal(9, Kind.AGENT, for_level(Level.STANDARD))

    def shown(*about: Any) -> AgentEntry:
        clock.rightNow += TURN / 20
        return entry_of(*about)

    entry_of = listing.entry_of
    entries: list[list[AgentEntry]] = []
    with mock.patch.object(listing, "entry_of", side_effect=shown):
        for _ in range(BEGUN + 3):
            answer: Any = listing.list_agents(Context(kernel, caller), ListRequest())
            Deferred.fromCoroutine(answer).addCallback(entries.append)
        assert live.call_count == BEGUN
        while len(entries) < BEGUN + 3:
            turn(clock)
    assert [len(each) for each in entries] == [300] * (BEGUN + 3)


def test_few_are_shown_at_once() -> None:
    agent = AgentFixture()
    known = SimpleNamespace(live=lambda: iter([agent.agent] * 3))
    time = LoopTime(agent.clock, TURN, BEGUN)
    kernel = cast(Kernel, SimpleNamespace(agents=SimpleNamespace(known=known), loop_time=time))
    caller = Principal(9, Kind.AGENT, for_level(Level.STANDARD))
    assert len(cast(Any, listing.list_agents(Context(kernel, caller), ListRequest()))) == 3


def test_agents_are_judged_and_forgotten_some_at_a_time() -> None:
    seen: list[int] = []
    caller = Principal(9, Kind.OPERATOR, for_level(Level.UNRESTRICTED))
    count = 3 * managing.FORGOTTEN + 1
    ended = [
        SimpleNamespace(agent_id=number, ended_ms_ago=1000 * (number % 2), principal=caller)
        for number in range(count)
    ]
    known: Any = SimpleNamespace(forget=seen.append, ended=lambda: iter(ended))
    counts = []
    work = managing._forget(known, caller, 500)
    for _ in work:
        counts.append(len(seen))
    assert counts == [number * managing.FORGOTTEN // 2 for number in (1, 2, 3)]
    assert seen == list(range(1, count, 2))
