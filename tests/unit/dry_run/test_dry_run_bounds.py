"""How many dry runs are made at once and for how long, and that each is cleared up after."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock

from clove.errors import IsolationUnavailable, LimitExceeded, TimedOut, Unavailable
from clove.kernel.dry_run import DryRunLimits
from clove.kernel.dry_run.dry_runs import FIRST_NUMBER, DryRuns
from clove.kernel.launch.profile import Clone
from clove.kernel.mounts.mount_request import MountRequest
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


class Fixture:
    """Dry runs whose clones and sandboxes come when the test says so."""

    def __init__(self, **limits: Any) -> None:
        self.clock = Clock()
        self.clones: list[Deferred[Clone]] = []
        self.sandboxes: list[Standing] = []
        self.forgotten: list[int] = []
        self.failure: Exception | None = None
        self.output: Any = None
        self.dry_runs = DryRuns(
            self.clock,
            self,  # type: ignore[arg-type]
            SimpleNamespace(),
            DryRunLimits(**limits),
            library="/clove",
            clone=self._clone,
            release=self._forget,
            report=lambda sandbox, cgroup, memory: {},
        )

    def _clone(self, principal: Principal, number: int) -> Deferred[Clone]:
        self.clones.append(Deferred())
        return self.clones[-1]

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
        return Deferred.fromCoroutine(self.dry_runs.make(asking, principal, *READ))

    def start(self, caller: Principal | None = None) -> Deferred[Any]:
        """A dry run that has come to its sandbox."""
        made = self.make(caller)
        self.clones[-1].callback(Clone(SandboxSpec(argv=("python",))))
        return made


async def ended(*dry_runs: Deferred[Any]) -> None:
    """Nothing of these dry runs goes on."""
    for each in dry_runs:
        each.cancel()
        with pytest.raises(CancelledError):
            await each


async def test_a_caller_has_so_many_and_is_told_what_to_do() -> None:
    fixture = Fixture(per_caller=2)
    caller = agent(1)
    made = [fixture.make(caller), fixture.make(caller)]
    with pytest.raises(LimitExceeded) as caught:
        await fixture.make(caller)
    assert "attempt: false" in caught.value.hint
    await ended(*made)
    await ended(fixture.make(caller))
    assert fixture.forgotten == [FIRST_NUMBER, FIRST_NUMBER + 1, FIRST_NUMBER + 2]


async def test_one_too_many_waits_until_another_is_over() -> None:
    fixture = Fixture(at_once=2)
    made = [fixture.make(agent(number)) for number in (1, 2, 3)]
    assert len(fixture.clones) == 2
    await ended(made[0])
    assert len(fixture.clones) == 3
    await ended(*made[1:])


async def test_a_family_leaves_room_for_others() -> None:
    fixture = Fixture(at_once=4, per_family=2)
    made = [fixture.make(agent(number, family=1)) for number in (1, 2, 3, 4, 5)]
    assert len(fixture.clones) == 2
    made.append(fixture.make(agent(9)))
    assert len(fixture.clones) == 3
    await ended(*made)


async def test_an_operator_never_waits_for_agents() -> None:
    fixture = Fixture(at_once=1, for_operators=1)
    operator = Principal(8, Kind.OPERATOR, parse("unrestricted"))
    made = [fixture.make(agent(number)) for number in range(10, 50)]
    assert len(fixture.clones) == 1
    made.append(fixture.make(operator))
    assert len(fixture.clones) == 2
    made.append(fixture.make(operator))
    assert len(fixture.clones) == 2
    await ended(*made)


async def test_a_turn_is_not_waited_for_for_ever() -> None:
    fixture = Fixture(at_once=1, turn_timeout=5.0, timeout=99.0)
    first, second = fixture.start(agent(1)), fixture.make(agent(2))
    fixture.clock.advance(5)
    with pytest.raises(LimitExceeded) as caught:
        await second
    assert "no turn within 5 seconds" in caught.value.message
    await ended(first)
    assert len(fixture.clones) == 1


async def test_what_an_agent_asks_before_its_spawn_is_over_waits_for_its_sandbox() -> None:
    fixture = Fixture()
    new = agent(1)
    made = fixture.make(new, new)
    assert (made.called, fixture.clones) == (False, [])
    new.view = VIEW
    fixture.clock.advance(0)
    assert len(fixture.clones) == 1
    await ended(made)


async def test_a_question_of_a_new_run_is_not_about_the_run_before() -> None:
    fixture = Fixture()
    again = agent(1)
    again.mounted = MountRequest()
    made = fixture.make(again, again)
    assert fixture.clones == []
    again.view = VIEW
    fixture.clock.advance(0)
    assert len(fixture.clones) == 1
    await ended(made)


async def test_others_may_ask_about_an_agent_that_waits_for_its_restart() -> None:
    fixture = Fixture()
    resting = agent(2)
    resting.mounted = MountRequest()
    made = fixture.make(agent(1), resting)
    assert len(fixture.clones) == 1
    await ended(made)


async def test_a_start_is_not_waited_for_for_ever_and_takes_no_turn() -> None:
    fixture = Fixture(at_once=1, start_timeout=3.0)
    new = agent(1)
    made, other = fixture.make(new, new), fixture.make(agent(2))
    assert len(fixture.clones) == 1
    fixture.clock.advance(3)
    with pytest.raises(Unavailable):
        await made
    await ended(other)


async def test_a_result_ends_the_sandbox_and_takes_its_places_away() -> None:
    fixture = Fixture()
    made = fixture.start()
    fixture.output(1, b'{"happened": "succeeded"}\n')
    fixture.sandboxes[0].kill()
    assert (await made).happened == "succeeded"
    assert fixture.forgotten == [FIRST_NUMBER]


async def test_time_is_bounded() -> None:
    fixture = Fixture(timeout=3.0)
    made = fixture.start()
    fixture.clock.advance(3)
    with pytest.raises(TimedOut):
        await made
    assert fixture.sandboxes[0].done.called
    assert fixture.forgotten == [FIRST_NUMBER]


async def test_what_it_says_is_bounded() -> None:
    fixture = Fixture(output_bytes=10)
    made = fixture.start()
    fixture.output(1, b'{"happened": "succeeded"}\n')
    found = await made
    assert (found.happened, found.detail) == ("not tried", "the dry run printed too much")
    assert fixture.sandboxes[0].done.called


async def test_a_caller_that_leaves_leaves_nothing() -> None:
    fixture = Fixture()
    made = fixture.start()
    made.cancel()
    with pytest.raises(CancelledError):
        await made
    assert fixture.sandboxes[0].done.called
    assert fixture.forgotten == [FIRST_NUMBER]


async def test_a_sandbox_that_cannot_be_had_is_told() -> None:
    fixture = Fixture()
    fixture.failure = IsolationUnavailable("a pid namespace cannot be had")
    found = await fixture.start()
    assert found.happened == "not tried"
    assert "a pid namespace cannot be had" in found.detail
    assert fixture.forgotten == [FIRST_NUMBER]


async def test_without_a_view_of_this_host_there_is_nothing_to_try() -> None:
    fixture = Fixture()
    guest = Principal(7, Kind.GUEST, parse("standard"))
    found = await fixture.make(guest, guest)
    assert found.happened == "not tried"
    assert fixture.clones == []


async def test_none_is_begun_when_the_kernel_stops() -> None:
    fixture = Fixture()
    await fixture.dry_runs.stop()
    with pytest.raises(Unavailable):
        await fixture.make()
