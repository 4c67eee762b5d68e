"""Agents that start anew from a record: under the same id, counted and undone as spawns are."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.errors import AlreadyExists, Unavailable
from clove.kernel.launch.record import AgentRecord
from clove.messages.agents import SpawnRequest
from clove.policy import Level, for_level
from tests.unit.agents.spawning import Box, Fixture, failure_of, parent, running


def record_of(agent: Any, request: SpawnRequest) -> AgentRecord:
    principal = agent.principal
    return AgentRecord(
        agent_id=principal.agent_id,
        ancestors=principal.ancestors,
        family=principal.family,
        request=request,
        permissions=principal.permissions,
        network=principal.network,
    )


async def test_an_agent_is_restored_under_its_id_when_nothing_of_it_is_left() -> None:
    fixture = Fixture()
    agent = await running(fixture, "a", parent(500))
    record = record_of(agent, SpawnRequest(name="a", script="/s", restart_policy="always"))
    with pytest.raises(AlreadyExists):
        await fixture.agents.restore(record)
    fixture.releasing = Deferred()
    agent.stop()
    with pytest.raises(AlreadyExists):
        await fixture.agents.restore(record)
    fixture.releasing.callback(None)
    restoring = Deferred.fromCoroutine(fixture.agents.restore(record))
    fixture.preparing[-1].callback(None)
    fixture.launching[-1].callback(Box())
    again = await restoring
    assert (again.agent_id, again.parent_id) == (agent.agent_id, 500)
    assert again.principal.family == 500
    assert again.lifecycle.policy.when == "always"
    assert fixture.agents.find(agent_id=None, name="a") is again


def test_an_agent_that_cannot_be_restored_leaves_nothing() -> None:
    fixture = Fixture()
    record = AgentRecord(
        agent_id=7,
        ancestors=(1,),
        family=7,
        request=SpawnRequest(name="a", script="/s"),
        permissions=for_level(Level.STANDARD),
        network=False,
    )
    restoring = Deferred.fromCoroutine(fixture.agents.restore(record))
    fixture.preparing[-1].errback(Unavailable("no such script"))
    assert isinstance(failure_of(restoring), Unavailable)
    assert fixture.left() == []
