"""How agents are stopped: grace periods, turns, and stops between and during starts."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from clove.errors import CloveError, Unavailable
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
    busy = fixture.ends.admit(lambda: None)
    fixture.agent.stop()
    assert (fixture.agent.state, fixture.box.told) == ("stopping", [])
    fixture.box.done.callback(ExitStatus(code=0))
    assert fixture.agent.state == "exited"
    busy.release()
    assert not fixture.clock.getDelayedCalls()


def test_the_grace_period_begins_when_its_turn_comes() -> None:
    fixture = AgentFixture().start()
    busy = fixture.ends.admit(lambda: None)
    fixture.agent.stop()
    fixture.clock.advance(0.4)
    busy.release()
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(4.9)
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(0.1)
    assert fixture.box.told == ["terminate", "kill"]
    assert not fixture.clock.getDelayedCalls()


def test_no_grace_is_a_kill_at_once() -> None:
    fixture = AgentFixture().start()
    fixture.agent.stop(0)
    assert fixture.box.told == ["kill"]
    assert fixture.agent.lifecycle.reason == "killed"
    assert not fixture.clock.getDelayedCalls()


def test_a_second_stop_shortens_the_grace_period() -> None:
    fixture = AgentFixture().start()
    fixture.agent.stop(60)
    fixture.agent.stop(3)
    fixture.agent.stop(30)
    fixture.clock.advance(2.9)
    assert fixture.box.told == ["terminate"]
    fixture.clock.advance(0.2)
    assert fixture.box.told == ["terminate", "kill"]
    assert not fixture.clock.getDelayedCalls()


def test_a_second_stop_before_the_turn_of_the_first_counts_too() -> None:
    fixture = AgentFixture().start()
    busy = fixture.ends.admit(lambda: None)
    fixture.agent.stop()
    fixture.agent.stop(0)
    busy.release()
    assert fixture.box.told == ["kill"]


def test_a_restart_answers_when_it_runs_again() -> None:
    fixture = AgentFixture().start()
    ended = fixture.agent.wait()
    restarted = fixture.agent.restart()
    assert fixture.box.told == ["terminate"]
    fixture.box.done.callback(ExitStatus(signal=15))
    assert not restarted.called
    fixture.clock.advance(0)
    assert restarted.called
    assert (fixture.agent.pid, fixture.agent.state, fixture.agent.restarts) == (101, "running", 1)
    assert fixture.events == ["AGENT_EXITED", "AGENT_RESTARTING"]
    assert not ended.called
    fixture.box.done.callback(ExitStatus(code=0))
    assert (fixture.agent.state, fixture.over) == ("exited", 1)


def failure_of(deferred: Deferred[Any]) -> CloveError:
    """What a Deferred has failed with."""
    found: list[Any] = []
    deferred.addErrback(found.append)
    [failure] = found
    assert isinstance(failure.value, CloveError)
    return failure.value


def test_a_restart_that_cannot_be_carried_out_says_why() -> None:
    fixture = AgentFixture("always").start()
    restarted = fixture.agent.restart(0)
    fixture.fails = True
    fixture.clock.advance(0)
    assert failure_of(restarted).message == "no more of it"
    assert fixture.agent.state == "restarting"
    fixture.agent.stop()


@pytest.mark.parametrize("stopped", ["while it ends", "before it starts"])
def test_a_kill_takes_a_restart_back(stopped: str) -> None:
    fixture = AgentFixture("always").start()
    restarted = fixture.agent.restart()
    if stopped == "while it ends":
        fixture.agent.stop()
        fixture.box.done.callback(ExitStatus(signal=15))
    else:
        fixture.box.done.callback(ExitStatus(signal=15))
        fixture.agent.stop()
    assert isinstance(failure_of(restarted), Unavailable)
    assert (fixture.agent.state, fixture.over) == ("exited", 1)
    assert not fixture.clock.getDelayedCalls()


def test_one_that_waits_for_its_restart_is_started_at_once() -> None:
    fixture = AgentFixture("always").start()
    fixture.box.done.callback(ExitStatus(code=1))
    restarted = fixture.agent.restart()
    assert restarted.called
    assert fixture.agent.state == "running"
    assert not fixture.clock.getDelayedCalls()
    fixture.agent.stop(0)


def test_a_restart_that_is_given_up_by_its_caller_goes_on() -> None:
    fixture = AgentFixture().start()
    restarted = fixture.agent.restart(0)
    restarted.addErrback(lambda failure: None).cancel()
    fixture.clock.advance(0)
    assert fixture.agent.state == "running"
    fixture.agent.stop(0)
