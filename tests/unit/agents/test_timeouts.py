"""An agent that is to end after a time."""

from __future__ import annotations

from clove.kernel.agents.starts import end_at_bounds
from clove.sandbox.interface import ExitStatus
from tests.unit.agents.agent_fixture import AgentFixture


def timed(policy: str = "never") -> AgentFixture:
    """One that has started, and has ten seconds."""
    fixture = AgentFixture(policy).start()
    end_at_bounds(fixture.clock, fixture.agent, 10)
    return fixture


def test_it_is_ended_as_by_kill_and_for_that_reason() -> None:
    fixture = timed("always")
    fixture.clock.advance(9.9)
    assert fixture.agent.state == "running"
    fixture.clock.advance(0.2)
    assert (fixture.agent.state, fixture.box.told) == ("stopping", ["terminate"])
    fixture.clock.advance(5)
    assert fixture.box.told == ["terminate", "kill"]
    assert (fixture.agent.state, fixture.agent.lifecycle.reason) == ("exited", "timeout")
    assert (fixture.over, fixture.clock.getDelayedCalls()) == (1, [])


def test_restarts_do_not_begin_it_anew_and_waiting_for_one_ends_with_it() -> None:
    fixture = timed("always")
    fixture.clock.advance(6)
    fixture.box.done.callback(ExitStatus(code=1))
    fixture.clock.advance(1)
    assert fixture.agent.restarts == 1
    fixture.clock.advance(2.5)
    fixture.box.done.callback(ExitStatus(code=1))
    assert fixture.agent.state == "restarting"
    fixture.clock.advance(1)
    assert (fixture.agent.state, fixture.agent.lifecycle.reason) == ("exited", "timeout")
    assert (fixture.over, fixture.clock.getDelayedCalls()) == (1, [])


def test_an_end_before_it_leaves_nothing() -> None:
    fixture = timed()
    fixture.box.done.callback(ExitStatus(code=0))
    assert fixture.agent.lifecycle.reason == "exited"
    assert not fixture.clock.getDelayedCalls()


def test_a_kill_that_came_first_stays_the_reason() -> None:
    fixture = timed()
    fixture.clock.advance(9)
    fixture.agent.stop()
    fixture.clock.advance(2)
    fixture.box.done.callback(ExitStatus(signal=15))
    assert fixture.agent.lifecycle.reason == "killed"
