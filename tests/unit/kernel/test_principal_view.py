"""An agent's view: what it asks before its launch is complete waits for it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from clove.kernel.principal import Kind, Principal
from clove.policy import for_level

VIEW: Any = object()


def principal(kind: Kind) -> Principal:
    return Principal(7, kind, for_level("standard"))


def asked(of: Principal) -> Deferred[Any]:
    return Deferred.fromCoroutine(of.own_view())


async def test_an_agent_that_just_begins_gets_the_view_that_it_will_have() -> None:
    agent = principal(Kind.AGENT)
    first, second = asked(agent), asked(agent)
    assert not first.called
    agent.view = VIEW
    assert [await first, await second, await agent.own_view()] == [VIEW] * 3


async def test_a_run_does_not_get_the_view_of_the_run_before() -> None:
    agent = principal(Kind.AGENT)
    agent.view = object()  # type: ignore[assignment]
    agent.view = None
    waiting = asked(agent)
    assert not waiting.called
    agent.view = VIEW
    assert await waiting is VIEW


async def test_one_that_gives_up_is_forgotten() -> None:
    agent = principal(Kind.AGENT)
    waiting = asked(agent)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    agent.view = VIEW
    assert await agent.own_view() is VIEW


async def test_others_without_a_view_are_told_at_once() -> None:
    assert await principal(Kind.GUEST).own_view() is None
    assert await principal(Kind.OPERATOR).own_view() is None
