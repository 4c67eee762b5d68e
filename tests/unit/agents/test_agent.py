"""An agent's life carried out: restarts, stops and waits, on a clock of the test's own."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from clove.errors import InvalidRequest, Unavailable
from clove.kernel.agents.agent import Agent
from clove.kernel.agents.lifecycle import Lifecycle
from clove.kernel.agents.logbook import Logbook, LogLimits
from clove.kernel.agents.pace import Pace
from clove.kernel.agents.restart import Restart
from clove.kernel.principal import Kind, Principal
from clove.policy import Level, for_level
from clove.sandbox.interface import ExitStatus, ISandbox


@implementer(ISandbox)
class Box:
    """A sandbox that remembers what it was told."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.processes = (pid,)
        self.done: Deferred[ExitStatus] = Deferred()
        self.told: list[str] = []

    def resolve(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def on_host(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def run(self, command: Any, output: Any) -> Any:
        raise AssertionError("not asked for here")

    def terminate(self) -> None:
        self.told.append("terminate")

    def kill(self) -> None:
        self.told.append("kill")
        if not self.done.called:
            self.done.callback(ExitStatus(signal=9))

    def hold_output(self, hold: bool) -> None:
        self.told.append("hold" if hold else "go on")

    def pause(self) -> Deferred[None]:
        self.told.append("pause")
        return succeed(None)

    def resume(self) -> Deferred[None]:
        self.told.append("resume")
        return succeed(None)


class Scene:
    """One agent, its clock, and what was told of it."""

    def __init__(self, policy: str = "never", most: int = 5) -> None:
        self.clock = Clock()
        self.boxes: list[Box] = []
        self.events: list[str] = []
        self.over = 0
        self.fails = False
        principal = Principal(4, Kind.AGENT, for_level(Level.STANDARD), name="a", ancestors=(1,))
        self.agent = Agent(
            principal,
            Lifecycle(Restart(policy, most)),  # type: ignore[arg-type]
            Logbook(None, None, LogLimits(), lambda: 0.0),  # type: ignore[arg-type]
            clock=self.clock,
            launch=self.launch,
            notify=lambda agent, event, data: self.events.append(event),
            over=self.ended,
            grace=5,
            pace=Pace(self.clock, 1, 0.5),
        )
        self.agent.logbook.take = lambda stream, data: None  # type: ignore[method-assign]

    async def launch(self, agent: Agent) -> Any:
        if self.fails:
            raise Unavailable("no more of it")
        self.boxes.append(Box(100 + len(self.boxes)))
        return self.boxes[-1]

    def ended(self, agent: Agent) -> None:
        self.over += 1

    def start(self) -> Scene:
        Deferred.fromCoroutine(self.agent.start())
        return self

    @property
    def box(self) -> Box:
        return self.boxes[-1]


def test_it_runs_and_ends() -> None:
    scene = Scene().start()
    assert (scene.agent.state, scene.agent.pid) == ("running", 100)
    ended = scene.agent.wait()
    scene.box.done.callback(ExitStatus(code=3))
    assert ended.called
    assert (scene.agent.state, scene.agent.pid, scene.over) == ("exited", 0, 1)
    assert scene.events == ["AGENT_EXITED"]


def test_waiting_for_one_that_has_ended_fires_at_once() -> None:
    scene = Scene().start()
    scene.box.done.callback(ExitStatus(code=0))
    assert scene.agent.wait().called


def test_a_failure_is_restarted_after_its_wait_with_the_same_id() -> None:
    scene = Scene("on-failure").start()
    scene.box.done.callback(ExitStatus(code=1))
    assert scene.agent.state == "restarting"
    scene.clock.advance(0.9)
    assert len(scene.boxes) == 1
    scene.clock.advance(0.2)
    assert (scene.agent.state, scene.agent.pid, scene.agent.agent_id) == ("running", 101, 4)
    assert (scene.agent.restarts, scene.over) == (1, 0)


def test_too_many_failures_escalate_and_leave_it_stopped() -> None:
    scene = Scene("always", 1).start()
    scene.box.done.callback(ExitStatus(code=1))
    scene.clock.advance(1)
    scene.box.done.callback(ExitStatus(signal=11))
    assert scene.agent.state == "escalated"
    assert scene.events[-1] == "AGENT_ESCALATED"
    assert scene.over == 1
    assert not scene.clock.getDelayedCalls()


def test_a_restart_that_cannot_start_is_tried_again_until_it_escalates() -> None:
    scene = Scene("always", 2).start()
    scene.box.done.callback(ExitStatus(code=1))
    scene.fails = True
    for _ in range(10):
        scene.clock.advance(60)
    assert scene.agent.state == "escalated"


def test_stop_terminates_and_kills_after_the_grace_period() -> None:
    scene = Scene("always").start()
    scene.agent.stop()
    assert scene.box.told == ["terminate"]
    scene.clock.advance(4.9)
    assert scene.box.told == ["terminate"]
    scene.clock.advance(0.2)
    assert scene.box.told == ["terminate", "kill"]
    assert scene.agent.lifecycle.reason == "killed"
    assert not scene.clock.getDelayedCalls()


def test_an_exit_within_the_grace_period_needs_no_kill() -> None:
    scene = Scene().start()
    scene.agent.stop()
    scene.box.done.callback(ExitStatus(signal=15))
    assert not scene.clock.getDelayedCalls()
    assert scene.box.told == ["terminate"]


def test_stop_between_restarts_ends_it_at_once() -> None:
    scene = Scene("always").start()
    scene.box.done.callback(ExitStatus(code=1))
    ended = scene.agent.wait()
    scene.agent.stop()
    assert ended.called
    assert scene.over == 1
    assert not scene.clock.getDelayedCalls()


def test_one_that_is_given_up_between_two_restarts_tells_its_end() -> None:
    scene = Scene("always").start()
    scene.box.done.callback(ExitStatus(code=1))
    scene.agent.stop()
    assert scene.events == ["AGENT_EXITED", "AGENT_RESTARTING", "AGENT_EXITED"]
    assert scene.agent.lifecycle.reason == "killed"


def test_a_restart_that_fails_tells_of_it_as_of_every_exit() -> None:
    scene = Scene("always", 1).start()
    scene.box.done.callback(ExitStatus(code=1))
    scene.fails = True
    scene.clock.advance(1)
    assert scene.events == [
        "AGENT_EXITED",
        "AGENT_RESTARTING",
        "AGENT_EXITED",
        "AGENT_ESCALATED",
    ]
    assert scene.agent.lifecycle.status.code == 127


def test_a_stop_while_a_restart_is_carried_out_gives_the_restart_up() -> None:
    scene = Scene("always").start()
    scene.box.done.callback(ExitStatus(code=1))
    gate: Deferred[Any] = Deferred()
    scene.agent._launch = lambda agent: gate
    scene.clock.advance(1)
    assert scene.agent.state == "starting"
    ended = scene.agent.wait()
    scene.agent.stop()
    assert ended.called
    assert (scene.agent.state, scene.over) == ("exited", 1)


async def test_a_pause_that_fails_leaves_it_running() -> None:
    scene = Scene().start()
    scene.box.pause = lambda: fail(Unavailable("no answer"))  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await scene.agent.pause()
    assert scene.agent.state == "running"
    assert scene.events == []


async def test_a_resume_that_fails_leaves_it_paused() -> None:
    scene = Scene().start()
    await scene.agent.pause()
    scene.box.resume = lambda: fail(Unavailable("no answer"))  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await scene.agent.resume()
    assert scene.agent.state == "paused"


def test_a_resume_waits_until_the_pause_has_reached_the_processes() -> None:
    scene = Scene().start()
    frozen: Deferred[None] = Deferred()
    scene.box.pause = lambda: frozen  # type: ignore[method-assign]
    pausing = Deferred.fromCoroutine(scene.agent.pause())
    resuming = Deferred.fromCoroutine(scene.agent.resume())
    pausing.cancel()  # its client is gone; the freezing goes on
    assert scene.box.told == []
    frozen.callback(None)
    assert scene.box.told == ["resume"]
    assert scene.agent.state == "running"
    pausing.addErrback(lambda failure: failure.trap(CancelledError))
    assert resuming.called


async def test_one_that_ends_while_it_is_paused_is_not_said_to_be_paused() -> None:
    scene = Scene().start()
    frozen: Deferred[None] = Deferred()
    scene.box.pause = lambda: frozen  # type: ignore[method-assign]
    pausing = Deferred.fromCoroutine(scene.agent.pause())
    scene.box.done.callback(ExitStatus(code=0))
    frozen.callback(None)
    with pytest.raises(InvalidRequest):
        await pausing
    assert scene.events == ["AGENT_EXITED"]


def test_stopping_twice_is_harmless() -> None:
    scene = Scene().start()
    scene.agent.stop()
    scene.agent.stop()
    assert scene.box.told == ["terminate"]
    scene.box.kill()


async def test_pause_and_resume_reach_the_processes_once() -> None:
    scene = Scene().start()
    for _ in range(2):
        await scene.agent.pause()
    assert scene.agent.state == "paused"
    for _ in range(2):
        await scene.agent.resume()
    assert scene.box.told == ["pause", "resume"]
    assert scene.events == ["AGENT_PAUSED", "AGENT_RESUMED"]


def test_one_that_is_stopped_while_it_starts_is_killed_when_it_runs() -> None:
    scene = Scene()
    gate: Deferred[Any] = Deferred()
    scene.agent._launch = lambda agent: gate
    scene.start()
    scene.agent.stop()
    box = Box(1)
    gate.callback(box)
    assert box.told == ["kill"]
    assert scene.over == 1


def test_giving_up_waiting_leaves_it_alone() -> None:
    scene = Scene().start()
    waiting = scene.agent.wait()
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    scene.box.done.callback(ExitStatus(code=0))
    assert scene.over == 1


@pytest.mark.parametrize("status", [ExitStatus(code=0), ExitStatus(signal=9)])
def test_uptime_stops_with_it(status: ExitStatus) -> None:
    scene = Scene().start()
    scene.clock.advance(2)
    scene.box.done.callback(status)
    scene.clock.advance(5)
    assert scene.agent.uptime_ms == 2000


async def test_an_ended_agent_holds_nothing_of_what_ran() -> None:
    scene = Scene()
    await scene.agent.start()
    box = scene.boxes.pop()
    scene.agent.principal.view = box
    scene.agent.logbook.hold = box.hold_output
    box.done.callback(ExitStatus(code=0))
    ref = weakref.ref(box)
    del box
    gc.collect()
    assert ref() is None


def test_who_waits_for_its_turn_to_end_may_end_by_itself() -> None:
    scene = Scene().start()
    busy = scene.agent._pace.turn(lambda: None)
    scene.agent.stop()
    assert (scene.agent.state, scene.box.told) == ("stopping", [])
    scene.box.done.callback(ExitStatus(code=0))
    assert scene.agent.state == "exited"
    busy.over()
    assert not scene.clock.getDelayedCalls()


def test_the_grace_period_begins_when_its_turn_comes() -> None:
    scene = Scene().start()
    busy = scene.agent._pace.turn(lambda: None)
    scene.agent.stop()
    scene.clock.advance(0.4)
    busy.over()
    assert scene.box.told == ["terminate"]
    scene.clock.advance(4.9)
    assert scene.box.told == ["terminate"]
    scene.clock.advance(0.1)
    assert scene.box.told == ["terminate", "kill"]
    assert not scene.clock.getDelayedCalls()
