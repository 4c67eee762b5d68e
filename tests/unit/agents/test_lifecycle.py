"""The states of an agent."""

from __future__ import annotations

import pytest

from clove.errors import InvalidRequest
from clove.kernel.agents.lifecycle import NOT_STARTED, Lifecycle, State
from clove.kernel.agents.restart import restart_policy
from clove.sandbox.interface import ExitStatus


def running(policy: str = "never", most: int = 5) -> Lifecycle:
    life = Lifecycle(restart_policy(policy, most))
    life.started()
    return life


def test_a_clean_exit_ends_it() -> None:
    life = running()
    assert life.ended(ExitStatus(code=0), 0).action == "stop"
    assert (life.state, life.reason, life.over) == (State.EXITED, "exited", True)


def test_an_exit_after_stop_is_a_kill_and_never_restarts() -> None:
    life = running("always")
    assert life.stop()
    assert not life.stop()
    assert life.ended(ExitStatus(signal=15), 0).action == "stop"
    assert life.reason == "killed"


def test_a_signal_counts_as_failure() -> None:
    life = running("on-failure")
    assert life.ended(ExitStatus(signal=9), 0).action == "restart"
    assert life.state is State.RESTARTING


def test_the_limit_that_ended_it_is_named() -> None:
    life = running()
    life.ended(ExitStatus(signal=9, reason="oom"), 0)
    assert life.reason == "oom"


def test_escalation_is_the_end() -> None:
    life = running("always", 0)
    assert life.ended(ExitStatus(code=1), 0).action == "escalate"
    assert (life.state, life.reason, life.over) == (State.ESCALATED, "escalated", True)


def test_stopping_between_restarts_needs_no_process() -> None:
    life = running("always")
    life.ended(ExitStatus(code=1), 0)
    assert not life.stop()
    assert (life.state, life.reason) == (State.EXITED, "killed")


def test_pause_and_resume_are_idempotent() -> None:
    life = running()
    assert life.pause()
    assert not life.pause()
    assert life.resume()
    assert not life.resume()


def test_what_does_not_run_cannot_be_paused() -> None:
    life = Lifecycle(restart_policy())
    with pytest.raises(InvalidRequest, match="starting"):
        life.pause()
    with pytest.raises(InvalidRequest, match="not paused"):
        life.resume()


def test_a_paused_agent_can_be_stopped() -> None:
    life = running()
    life.pause()
    assert life.stop()
    assert life.state is State.STOPPING


def test_a_restart_by_order_is_counted_and_no_policy_sees_it() -> None:
    life = running("never", 0)
    assert life.restart()
    assert life.state is State.STOPPING
    verdict = life.ended(ExitStatus(signal=15), 0)
    assert (verdict.action, verdict.delay) == ("restart", 0)
    assert (life.state, life.reason, life.restarts) == (State.RESTARTING, "restarted", 1)
    assert not life.over


def test_a_stop_takes_a_restart_by_order_back() -> None:
    life = running("always")
    life.restart()
    assert not life.stop()
    assert life.ended(ExitStatus(signal=15), 0).action == "stop"
    assert (life.state, life.reason) == (State.EXITED, "killed")


def test_what_is_starting_or_over_cannot_be_restarted_by_order() -> None:
    life = Lifecycle(restart_policy())
    with pytest.raises(InvalidRequest, match="starting"):
        life.restart()
    life.started()
    life.ended(ExitStatus(code=0), 0)
    with pytest.raises(InvalidRequest, match="exited"):
        life.restart()


def test_one_that_waits_for_its_restart_needs_no_end() -> None:
    life = running("always")
    life.ended(ExitStatus(code=1), 0)
    assert not life.restart()
    assert life.restarts == 1


def test_a_paused_agent_is_told_to_be_resumed_first() -> None:
    life = running()
    life.require_running("signalled")
    life.pause()
    with pytest.raises(InvalidRequest) as caught:
        life.require_running("signalled")
    assert caught.value.hint == "resume it first"


def test_a_restart_that_fails_counts_against_the_limit() -> None:
    life = running("always", 1)
    life.ended(ExitStatus(code=1), 0)
    life.starting()
    assert life.ended(ExitStatus(code=NOT_STARTED), 1).action == "escalate"
