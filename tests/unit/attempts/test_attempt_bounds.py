"""How many attempts are made at once and for how long, and that each is cleared up after."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import IsolationUnavailable, LimitExceeded, TimedOut, Unavailable
from clove.kernel.agents.profile import Throwaway
from clove.kernel.attempts import AttemptLimits, Attempts
from clove.kernel.attempts.attempts import FIRST_NUMBER
from clove.kernel.principal import Kind, Principal
from clove.policy import parse
from clove.sandbox.interface import ExitStatus
from clove.sandbox.spec import SandboxSpec

READ = ("READ", {"path": "/x"})


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

    def make(self, caller: int = 1, view: Any = True) -> Deferred[Any]:
        principal = Principal(7, Kind.AGENT, parse("standard"), view=view)
        return Deferred.fromCoroutine(self.attempts.make(caller, principal, *READ))

    def start(self, caller: int = 1) -> Deferred[Any]:
        """An attempt that has come to its sandbox."""
        made = self.make(caller)
        self.places[-1].callback(Throwaway(SandboxSpec(argv=("python",))))
        return made


async def test_one_of_each_caller_and_so_many_of_all() -> None:
    scene = Scene(at_once=2)
    first, second = scene.make(1), scene.make(2)
    for caller in (1, 3):
        with pytest.raises(LimitExceeded) as caught:
            await scene.make(caller)
        assert "attempt: false" in caught.value.hint
    first.cancel()
    with pytest.raises(CancelledError):
        await first
    third = scene.make(1)
    assert scene.forgotten == [FIRST_NUMBER]
    await scene.attempts.stop()
    for each in (second, third):
        with pytest.raises(CancelledError):
            await each


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
    found = await scene.make(view=None)
    assert found.happened == "not tried"
    assert scene.places == []


async def test_none_is_begun_when_the_kernel_stops() -> None:
    scene = Scene()
    await scene.attempts.stop()
    with pytest.raises(Unavailable):
        await scene.make()
