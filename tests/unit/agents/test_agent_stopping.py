"""How agents are stopped: grace periods, turns, and stops between and during starts."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from clove.sandbox.interface import ExitStatus
from tests.unit.agents.agent_fixture import AgentFixture, Box, launched


def test_stop_terminates_and_kills_after_the_grace_period() -> None:
    fixture = AgentFixture("always").start()
    fixture.agent.stop()
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(4.9)
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(0.2)
    assert fixture.box.told == ["terminate", "kill"]
    assert fixture.agent.lifecycle.reason == "killed"
    assert not fixture.clock.getDelayedCalls()


def test_an_exit_within_the_grace_period_needs_no_kill() -> None:
    fixture = AgentFixture().start()
    fixture.agent.stop()
    fixture.box.done.callback(ExitStatus(signal=15))
    assert not fixture.clock.getDelayedCalls()
    assert fixture.box.told == ["terminate"]


def test_stop_between_restarts_ends_it_at_once() -> None:
    fixture = AgentFixture("always").start()
    fixture.box.done.callback(ExitStatus(code=1))
    ended = fixture.agent.wait()
    fixture.agent.stop()
    assert ended.called
    assert fixture.over == 1
    assert not fixture.clock.getDelayedCalls()


def test_one_that_is_given_up_between_two_restarts_tells_its_end() -> None:
    fixture = AgentFixture("always").start()
    fixture.box.done.callback(ExitStatus(code=1))
    fixture.agent.stop()
    assert fixture.events == ["AGENT_EXITED", "AGENT_RESTARTING", "AGENT_EXITED"]
    assert fixture.agent.lifecycle.reason == "killed"


def test_a_stop_while_a_restart_is_carried_out_gives_the_restart_up() -> None:
    fixture = AgentFixture("always").start()
    fixture.box.done.callback(ExitStatus(code=1))
    gate: Deferred[Any] = Deferred()
    fixture.agent._launch = lambda agent: gate
    fixture.clock.advance(1)
    assert fixture.agent.state == "starting"
    ended = fixture.agent.wait()
    fixture.agent.stop()
    assert ended.called
    assert (fixture.agent.state, fixture.over) == ("exited", 1)


def test_stopping_twice_is_harmless() -> None:
    fixture = AgentFixture().start()
    fixture.agent.stop()
    fixture.agent.stop()
    assert fixture.box.told == ["terminate"]
    fixture.box.kill()


def test_one_that_is_stopped_while_it_starts_is_killed_when_it_runs() -> None:
    fixture = AgentFixture()
    gate: Deferred[Any] = Deferred()
    fixture.agent._launch = lambda agent: gate
    fixture.start()
    fixture.agent.stop()
    box = Box(1)
    gate.callback(launched(box))
    assert box.told == ["kill"]
    assert fixture.over == 1


def test_one_that_waits_for_its_turn_to_end_may_end_by_itself() -> None:
    fixture = AgentFixture().start()
    busy = fixture.agent._ends.admit(lambda: None)
    fixture.agent.stop()
    assert (fixture.agent.state, fixture.box.told) == ("stopping", [])
    fixture.box.done.callback(ExitStatus(code=0))
    assert fixture.agent.state == "exited"
    busy.release()
    assert not fixture.clock.getDelayedCalls()


def test_the_grace_period_begins_when_its_turn_comes() -> None:
    fixture = AgentFixture().start()
    busy = fixture.agent._ends.admit(lambda: None)
    fixture.agent.stop()
    fixture.clock.advance(0.4)
    busy.release()
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(4.9)
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(0.1)
    assert fixture.box.told == ["terminate", "kill"]
    assert not fixture.clock.getDelayedCalls()
