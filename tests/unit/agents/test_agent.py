"""An agent's life carried out: starts, restarts, pauses and waits, on a clock of the test's own."""

from __future__ import annotations

import gc
import weakref

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail

from clove.errors import InvalidRequest, Unavailable
from clove.sandbox.interface import ExitStatus
from tests.unit.agents.agent_fixture import AgentFixture


def test_it_runs_and_ends() -> None:
    fixture = AgentFixture().start()
    assert (fixture.agent.state, fixture.agent.pid) == ("running", 100)
    ended = fixture.agent.wait()
    fixture.box.done.callback(ExitStatus(code=3))
    assert ended.called
    assert (fixture.agent.state, fixture.agent.pid, fixture.over) == ("exited", 0, 1)
    assert fixture.events == ["AGENT_EXITED"]


def test_waiting_for_one_that_has_ended_fires_at_once() -> None:
    fixture = AgentFixture().start()
    fixture.box.done.callback(ExitStatus(code=0))
    assert fixture.agent.wait().called


def test_a_failure_is_restarted_after_its_wait_with_the_same_id() -> None:
    fixture = AgentFixture("on-failure").start()
    fixture.box.done.callback(ExitStatus(code=1))
    assert fixture.agent.state == "restarting"
    fixture.clock.advance(0.9)
    assert len(fixture.boxes) == 1
    fixture.clock.advance(0.2)
    assert (fixture.agent.state, fixture.agent.pid, fixture.agent.agent_id) == ("running", 101, 4)
    assert (fixture.agent.restarts, fixture.over) == (1, 0)


def test_too_many_failures_escalate_and_leave_it_stopped() -> None:
    fixture = AgentFixture("always", 1).start()
    fixture.box.done.callback(ExitStatus(code=1))
    fixture.clock.advance(1)
    fixture.box.done.callback(ExitStatus(signal=11))
    assert fixture.agent.state == "escalated"
    assert fixture.events[-1] == "AGENT_ESCALATED"
    assert fixture.over == 1
    assert not fixture.clock.getDelayedCalls()


def test_a_restart_that_cannot_start_is_tried_again_until_it_escalates() -> None:
    fixture = AgentFixture("always", 2).start()
    fixture.box.done.callback(ExitStatus(code=1))
    fixture.fails = True
    for _ in range(10):
        fixture.clock.advance(60)
    assert fixture.agent.state == "escalated"


def test_a_restart_that_fails_tells_of_it_as_of_every_exit() -> None:
    fixture = AgentFixture("always", 1).start()
    fixture.box.done.callback(ExitStatus(code=1))
    fixture.fails = True
    fixture.clock.advance(1)
    assert fixture.events == [
        "AGENT_EXITED",
        "AGENT_RESTARTING",
        "AGENT_EXITED",
        "AGENT_ESCALATED",
    ]
    assert fixture.agent.lifecycle.status.code == 127


async def test_a_pause_that_fails_leaves_it_running() -> None:
    fixture = AgentFixture().start()
    fixture.box.pause = lambda: fail(Unavailable("no answer"))  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await fixture.agent.pausing.pause()
    assert fixture.agent.state == "running"
    assert fixture.events == []


async def test_a_resume_that_fails_leaves_it_paused() -> None:
    fixture = AgentFixture().start()
    await fixture.agent.pausing.pause()
    fixture.box.resume = lambda: fail(Unavailable("no answer"))  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await fixture.agent.pausing.resume()
    assert fixture.agent.state == "paused"


def test_a_resume_waits_until_the_pause_has_reached_the_processes() -> None:
    fixture = AgentFixture().start()
    frozen: Deferred[None] = Deferred()
    fixture.box.pause = lambda: frozen  # type: ignore[method-assign]
    pausing = Deferred.fromCoroutine(fixture.agent.pausing.pause())
    resuming = Deferred.fromCoroutine(fixture.agent.pausing.resume())
    pausing.cancel()  # its client is gone; the freezing goes on
    assert fixture.box.told == []
    frozen.callback(None)
    assert fixture.box.told == ["resume"]
    assert fixture.agent.state == "running"
    pausing.addErrback(lambda failure: failure.trap(CancelledError))
    assert resuming.called


async def test_one_that_ends_while_it_is_paused_is_not_said_to_be_paused() -> None:
    fixture = AgentFixture().start()
    frozen: Deferred[None] = Deferred()
    fixture.box.pause = lambda: frozen  # type: ignore[method-assign]
    pausing = Deferred.fromCoroutine(fixture.agent.pausing.pause())
    fixture.box.done.callback(ExitStatus(code=0))
    frozen.callback(None)
    with pytest.raises(InvalidRequest):
        await pausing
    assert fixture.events == ["AGENT_EXITED"]


async def test_pause_and_resume_reach_the_processes_once() -> None:
    fixture = AgentFixture().start()
    for _ in range(2):
        await fixture.agent.pausing.pause()
    assert fixture.agent.state == "paused"
    for _ in range(2):
        await fixture.agent.pausing.resume()
    assert fixture.box.told == ["pause", "resume"]
    assert fixture.events == ["AGENT_PAUSED", "AGENT_RESUMED"]


def test_giving_up_waiting_leaves_it_alone() -> None:
    fixture = AgentFixture().start()
    waiting = fixture.agent.wait()
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    fixture.box.done.callback(ExitStatus(code=0))
    assert fixture.over == 1


@pytest.mark.parametrize("status", [ExitStatus(code=0), ExitStatus(signal=9)])
def test_uptime_stops_with_it(status: ExitStatus) -> None:
    fixture = AgentFixture().start()
    fixture.clock.advance(2)
    fixture.box.done.callback(status)
    fixture.clock.advance(5)
    assert fixture.agent.uptime_ms == 2000


async def test_an_ended_agent_holds_nothing_of_what_ran() -> None:
    fixture = AgentFixture()
    await fixture.agent.start()
    box = fixture.boxes.pop()
    fixture.agent.principal.view = box
    fixture.agent.logbook.follow_source(box)
    box.done.callback(ExitStatus(code=0))
    ref = weakref.ref(box)
    del box
    gc.collect()
    assert ref() is None
