"""Commands that run: time, floods, counts and cancellation, on a clock of our own."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from clove.errors import LimitExceeded, NotFound
from clove.kernel.files import Commands, Ended, ExecLimits
from clove.sandbox.interface import Command, ExitStatus, IFile, IRunning, IView, Output
from clove.sandbox.spec import OnHost
from clove.sharing.shares import OPERATORS, ShareLimits

T = TypeVar("T")
COMMAND = Command(("true",))


@implementer(IRunning)
@dataclass
class Scripted:
    """A command whose life the test directs."""

    output: Output
    dies: bool = True
    pid: int = 1
    done: Deferred[ExitStatus] = field(default_factory=Deferred)
    kills: int = 0
    outputs: Any = None

    def kill(self) -> None:
        self.kills += 1
        if self.dies and not self.done.called:
            self.done.callback(ExitStatus(signal=9))


@implementer(IView)
class ScriptedView:
    """Starts commands when the test says so."""

    def __init__(self) -> None:
        self.starting: list[tuple[Deferred[IRunning], Scripted]] = []
        self.at_once = True

    def enter(self, path: str) -> Any:
        raise AssertionError("not asked for here")

    def resolve(self, path: str) -> Deferred[IFile]:
        return fail(NotFound(path))

    def on_host(self, path: str) -> OnHost | None:
        return None

    def run(self, command: Command, output: Output) -> Deferred[IRunning]:
        running = Scripted(output)
        deferred: Deferred[IRunning] = Deferred()
        self.starting.append((deferred, running))
        if self.at_once:
            deferred.callback(running)
        return deferred

    @property
    def last(self) -> Scripted:
        return self.starting[-1][1]


class Bench:
    """A kernel's commands with their surroundings."""

    def __init__(self, shares: ShareLimits | None = None, **limits: Any) -> None:
        self.clock = Clock()
        self.view = ScriptedView()
        self.commands = Commands(self.clock, ExecLimits(**limits), shares or ShareLimits())
        self.texts: list[tuple[int, str]] = []

    def run(
        self, agent_id: int = 1, timeout: float = 30, family: int | None = None
    ) -> Deferred[Ended]:
        def take(*text: Any) -> None:
            self.texts.append(text)

        return Deferred.fromCoroutine(
            self.commands.run(agent_id, self.view, COMMAND, timeout, take, family=family)
        )


def now(deferred: Deferred[T]) -> T:
    """The result, which must be there."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    assert found, "no result yet"
    if isinstance(found[0], Failure):
        found[0].raiseException()
    result: T = found[0]
    return result


def test_a_command_that_ends_gives_its_output_and_code() -> None:
    bench = Bench()
    result = bench.run()
    bench.view.last.output(1, b"out")
    bench.view.last.output(2, b"err\xc3")
    bench.view.last.done.callback(ExitStatus(code=3))
    ended = now(result)
    assert (ended.stdout.text(), ended.stderr.text()) == ("out", "err\ufffd")
    assert (ended.exit_code, ended.reason, ended.truncated) == (3, "", False)
    assert bench.texts == [(1, "out"), (2, "err"), (2, "\ufffd")]
    assert not bench.clock.getDelayedCalls()
    assert bench.commands.count() == 0
    assert bench.view.last.kills == 0


def test_a_signal_is_128_and_its_number() -> None:
    bench = Bench()
    result = bench.run()
    bench.view.last.done.callback(ExitStatus(signal=11, reason="oom"))
    ended = now(result)
    assert (ended.exit_code, ended.reason) == (139, "oom")


def test_a_command_over_its_time_is_killed() -> None:
    bench = Bench()
    result = bench.run(timeout=5)
    bench.view.last.output(1, b"so far")
    bench.clock.advance(4.9)
    assert bench.view.last.kills == 0
    bench.clock.advance(0.1)
    ended = now(result)
    assert (ended.exit_code, ended.reason, ended.stdout.text()) == (137, "timeout", "so far")
    assert not bench.clock.getDelayedCalls()


def test_one_that_does_not_die_is_answered_for_and_still_counts() -> None:
    bench = Bench(kill_wait=2.0)
    result = bench.run(timeout=5)
    bench.view.last.dies = False
    bench.clock.advance(5)
    bench.clock.advance(2)
    assert now(result).reason == "timeout"
    assert bench.commands.count(1) == 1
    bench.view.last.done.callback(ExitStatus(signal=9))
    assert bench.commands.count(1) == 0
    assert not bench.clock.getDelayedCalls()


def test_a_flood_is_dropped_and_then_ended() -> None:
    bench = Bench(output_bytes=10, flood_bytes=100)
    result = bench.run()
    bench.view.last.output(1, b"x" * 60)
    bench.view.last.output(2, b"y" * 40)
    assert bench.view.last.kills == 0
    bench.view.last.output(1, b"z")
    ended = now(result)
    assert (ended.reason, ended.truncated, ended.size) == ("output", True, 20)
    assert "".join(text for _, text in bench.texts) == "x" * 10 + "y" * 10


def test_a_flood_before_the_start_is_known_is_ended_too() -> None:
    bench = Bench(flood_bytes=10)
    bench.view.at_once = False
    result = bench.run()
    starting, running = bench.view.starting[0]
    running.output(1, b"x" * 11)
    starting.callback(running)
    assert now(result).reason == "output"


def test_one_that_has_ended_before_it_is_known_to_run() -> None:
    bench = Bench()
    bench.view.at_once = False
    result = bench.run()
    starting, running = bench.view.starting[0]
    running.done.callback(ExitStatus(code=0))
    starting.callback(running)
    assert now(result).exit_code == 0
    assert not bench.clock.getDelayedCalls()


def test_cancelling_kills_it() -> None:
    bench = Bench()
    result = bench.run()
    result.cancel()
    with pytest.raises(CancelledError):
        now(result)
    assert bench.view.last.kills == 1
    assert bench.commands.count() == 0
    assert not bench.clock.getDelayedCalls()


def test_cancelling_while_it_starts_kills_it_when_it_has() -> None:
    bench = Bench()
    bench.view.at_once = False
    result = bench.run()
    result.cancel()
    with pytest.raises(CancelledError):
        now(result)
    assert bench.commands.count(1) == 1
    starting, running = bench.view.starting[0]
    starting.callback(running)
    assert running.kills == 1
    assert bench.commands.count(1) == 0


def test_a_start_that_fails_after_cancelling_is_counted_off() -> None:
    bench = Bench()
    bench.view.at_once = False
    result = bench.run()
    result.cancel()
    with pytest.raises(CancelledError):
        now(result)
    bench.view.starting[0][0].errback(NotFound("no"))
    assert bench.commands.count() == 0


def test_a_start_that_fails_is_the_callers_to_see() -> None:
    bench = Bench()
    bench.view.at_once = False
    result = bench.run()
    bench.view.starting[0][0].errback(NotFound("no such program"))
    with pytest.raises(NotFound):
        now(result)
    assert bench.commands.count() == 0


def test_commands_of_an_agent_and_of_all_are_limited() -> None:
    bench = Bench(ShareLimits(family=1, operators=0), per_agent=2, total=3)
    first = bench.run(1)
    bench.run(1).addErrback(lambda _: None)
    with pytest.raises(LimitExceeded, match="this agent"):
        now(bench.run(1))
    bench.run(2)
    with pytest.raises(LimitExceeded, match="there are 3 commands running already"):
        now(bench.run(3))
    bench.view.starting[0][1].done.callback(ExitStatus(code=0))
    now(first)
    assert bench.commands.count() == 2
    bench.run(3)
    for _, running in bench.view.starting:
        running.kill()
    assert not bench.clock.getDelayedCalls()


def test_a_family_has_its_share_of_all_commands_and_leaves_some_to_others() -> None:
    bench = Bench(total=8)
    first = bench.run(10, family=10)
    for agent_id in (11, 12, 13):
        bench.run(agent_id, family=10)
    with pytest.raises(LimitExceeded, match="your family of agents has 4 commands running"):
        now(bench.run(14, family=10))
    for agent_id in (20, 21, 22):
        bench.run(agent_id, family=20)
    with pytest.raises(LimitExceeded, match="the limit is 7, and 1 kept for operators"):
        now(bench.run(30, family=30))
    bench.run(1, family=OPERATORS)
    bench.view.starting[0][1].done.callback(ExitStatus(code=0))
    now(first)
    with pytest.raises(LimitExceeded):  # the operators' part stays theirs
        now(bench.run(30, family=30))
    for _, running in bench.view.starting:
        running.kill()
    bench.run(14, family=10)
    bench.view.last.kill()


def test_a_token_has_its_share_of_its_familys_and_leaves_some_to_other_tokens() -> None:
    bench = Bench(total=16)  # 2 for operators, 7 for a family, 4 for a token

    def start(agent_id: int, bearer: int) -> Deferred[IRunning]:
        given = (agent_id, bench.view, COMMAND, lambda stream, data: None)
        return Deferred.fromCoroutine(bench.commands.start(*given, family=-1, bearer=bearer))

    for caller in range(4):  # each of them has more callers than one
        now(start(caller, 100))
    with pytest.raises(LimitExceeded, match=r"4 commands run with this token.* 7 that all remote"):
        now(start(4, 100))
    for caller in range(5, 8):
        now(start(caller, 200))
    with pytest.raises(LimitExceeded, match="your family of agents has 7"):
        now(start(8, 300))
    bench.view.last.kill()
    now(start(8, 300))
    assert bench.commands.count() == 7
    for _, running in bench.view.starting:
        running.kill()
    assert bench.commands.count() == 0
    now(start(9, 100))
