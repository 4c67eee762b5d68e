"""How many attempts are made at once and for how long, and that each is cleared up after."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import IsolationUnavailable, LimitExceeded, TimedOut, Unavailable
from clove.kernel.agents.exposure import Wish
from clove.kernel.agents.profile import Throwaway
from clove.kernel.attempts import AttemptLimits, Attempts
from clove.kernel.attempts.attempts import FIRST_NUMBER
from clove.kernel.principal import Kind, Principal
from clove.policy import parse
from clove.sandbox.interface import ExitStatus
from clove.sandbox.spec import SandboxSpec

VIEW: Any = object()
READ = ("READ", {"path": "/x"})


def agent(agent_id: int, **fields: Any) -> Principal:
    return Principal(agent_id, Kind.AGENT, parse("standard"), **fields)


class Standing:
    """A sandbox that runs until it is killed."""

    def __init__(self) -> None:
        self.spec = SandboxSpec(argv=("python",))
        self.done: Deferred[ExitStatus] = Deferred()

    def kill(self) -> None:
        if not self.done.called:
            self.done.callback(ExitStatus(signal=9))


class Scene:
    """Attempts whose places and sandboxes come when the test says so."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.places: list[Deferred[Throwaway]] = []
        self.sandboxes: list[Standing] = []
        self.forgotten: list[int] = []
        self.failure: Exception | None = None
        self.output: Any = None
        self.attempts = Attempts(
            self.clock,
            self,  # type: ignore[arg-type]
            SimpleNamespace(),  # type: ignore[arg-type]
            AttemptLimits(**limits),
            library="/clove",
            places=self._place,
            forget=self._forget,
            report=lambda sandbox, cgroup: {},
        )

    def _place(self, principal: Principal, number: int) -> Deferred[Throwaway]:
        self.places.append(Deferred())
        return self.places[-1]

    async def _forget(self, number: int) -> None:
        self.forgotten.append(number)

    def launch(self, spec: SandboxSpec, output: Any, fallback: Any, egress: Any) -> Deferred[Any]:
        if self.failure is not None:
            raise self.failure
        self.output = output
        self.sandboxes.append(Standing())
        return succeed(self.sandboxes[-1])

    def make(self, caller: Principal | None = None, of: Principal | None = None) -> Deferred[Any]:
        principal = agent(7, view=True) if of is None else of
        asking = agent(1) if caller is None else caller
        return Deferred.fromCoroutine(self.attempts.make(asking, principal, *READ))

    def start(self, caller: Principal | None = None) -> Deferred[Any]:
        """An attempt that has come to its sandbox."""
        made = self.make(caller)
        self.places[-1].callback(Throwaway(SandboxSpec(argv=("python",))))
        return made


async def ended(*attempts: Deferred[Any]) -> None:
    """Nothing of these attempts goes on."""
    for each in attempts:
        each.cancel()
        with pytest.raises(CancelledError):
            await each


async def test_a_caller_has_so_many_and_is_told_what_to_do() -> None:
    scene = Scene(per_caller=2)
    caller = agent(1)
    made = [scene.make(caller), scene.make(caller)]
    with pytest.raises(LimitExceeded) as caught:
        await scene.make(caller)
    assert "attempt: false" in caught.value.hint
    await ended(*made)
    await ended(scene.make(caller))
    assert scene.forgotten == [FIRST_NUMBER, FIRST_NUMBER + 1, FIRST_NUMBER + 2]


async def test_one_too_many_waits_until_another_is_over() -> None:
    scene = Scene(at_once=2)
    made = [scene.make(agent(number)) for number in (1, 2, 3)]
    assert len(scene.places) == 2
    await ended(made[0])
    assert len(scene.places) == 3
    await ended(*made[1:])


async def test_a_family_leaves_room_for_others() -> None:
    scene = Scene(at_once=4, per_family=2)
    made = [scene.make(agent(number, family=1)) for number in (1, 2, 3, 4, 5)]
    assert len(scene.places) == 2
    made.append(scene.make(agent(9)))
    assert len(scene.places) == 3
    await ended(*made)


async def test_an_operator_never_waits_for_agents() -> None:
    scene = Scene(at_once=1, for_operators=1)
    operator = Principal(8, Kind.OPERATOR, parse("unrestricted"))
    made = [scene.make(agent(number)) for number in range(10, 50)]
    assert len(scene.places) == 1
    made.append(scene.make(operator))
    assert len(scene.places) == 2
    made.append(scene.make(operator))
    assert len(scene.places) == 2
    await ended(*made)


async def test_a_turn_is_not_waited_for_for_ever() -> None:
    scene = Scene(at_once=1, turn_timeout=5.0, timeout=99.0)
    first, second = scene.start(agent(1)), scene.make(agent(2))
    scene.clock.advance(5)
    with pytest.raises(LimitExceeded) as caught:
        await second
    assert "no turn within 5 seconds" in caught.value.message
    await ended(first)
    assert len(scene.places) == 1


async def test_what_an_agent_asks_before_its_spawn_is_over_waits_for_its_sandbox() -> None:
    scene = Scene()
    new = agent(1)
    made = scene.make(new, new)
    assert (made.called, scene.places) == (False, [])
    new.view = VIEW
    scene.clock.advance(0)
    assert len(scene.places) == 1
    await ended(made)


async def test_a_question_of_a_new_run_is_not_about_the_run_before() -> None:
    scene = Scene()
    again = agent(1)
    again.shown = Wish()
    made = scene.make(again, again)
    assert scene.places == []
    again.view = VIEW
    scene.clock.advance(0)
    assert len(scene.places) == 1
    await ended(made)


async def test_others_may_ask_about_an_agent_that_waits_for_its_restart() -> None:
    scene = Scene()
    resting = agent(2)
    resting.shown = Wish()
    made = scene.make(agent(1), resting)
    assert len(scene.places) == 1
    await ended(made)


async def test_a_start_is_not_waited_for_for_ever_and_takes_no_turn() -> None:
    scene = Scene(at_once=1, start_timeout=3.0)
    new = agent(1)
    made, other = scene.make(new, new), scene.make(agent(2))
    assert len(scene.places) == 1
    scene.clock.advance(3)
    with pytest.raises(Unavailable):
        await made
    await ended(other)


async def test_a_result_ends_the_sandbox_and_takes_its_places_away() -> None:
    scene = Scene()
    made = scene.start()
    scene.output(1, b'{"happened": "succeeded"}\n')
    scene.sandboxes[0].kill()
    assert (await made).happened == "succeeded"
    assert scene.forgotten == [FIRST_NUMBER]


async def test_time_is_bounded() -> None:
    scene = Scene(timeout=3.0)
    made = scene.start()
    scene.clock.advance(3)
    with pytest.raises(TimedOut):
        await made
    assert scene.sandboxes[0].done.called
    assert scene.forgotten == [FIRST_NUMBER]


async def test_what_it_says_is_bounded() -> None:
    scene = Scene(output_bytes=10)
    made = scene.start()
    scene.output(1, b'{"happened": "succeeded"}\n')
    found = await made
    assert (found.happened, found.detail) == ("not tried", "the attempt said too much")
    assert scene.sandboxes[0].done.called


async def test_a_caller_that_leaves_leaves_nothing() -> None:
    scene = Scene()
    made = scene.start()
    made.cancel()
    with pytest.raises(CancelledError):
        await made
    assert scene.sandboxes[0].done.called
    assert scene.forgotten == [FIRST_NUMBER]


async def test_a_sandbox_that_cannot_be_had_is_told() -> None:
    scene = Scene()
    scene.failure = IsolationUnavailable("a pid namespace cannot be had")
    found = await scene.start()
    assert found.happened == "not tried"
    assert "a pid namespace cannot be had" in found.detail
    assert scene.forgotten == [FIRST_NUMBER]


async def test_who_has_no_view_of_this_host_has_nothing_to_try() -> None:
    scene = Scene()
    guest = Principal(7, Kind.GUEST, parse("standard"))
    found = await scene.make(guest, guest)
    assert found.happened == "not tried"
    assert scene.places == []


async def test_none_is_begun_when_the_kernel_stops() -> None:
    scene = Scene()
    await scene.attempts.stop()
    with pytest.raises(Unavailable):
        await scene.make()
