"""Commands that run now: how many, how long, how much output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import ceil

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from clove.errors import LimitExceeded
from clove.kernel.files.limits import ExecLimits
from clove.kernel.files.running import Ended, OnText, Run
from clove.sandbox.host import kept
from clove.sandbox.interface import Command, IRunning, IView, Output
from clove.sandbox.reading_time import ReadingTime
from clove.sharing.shares import ShareLimits, Shares

__all__ = ["Commands"]


class Commands:
    """Runs commands in views, each within its time and its share of memory.

    @param time_of: gives the time of a family, in which the output of its commands is read.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limits: ExecLimits,
        shares: ShareLimits | None = None,
        time_of: Callable[[int], ReadingTime | None] = lambda _: None,
    ) -> None:
        self._time_of = time_of
        self.limits = limits
        shares = shares or ShareLimits()
        self._shares = Shares("commands running", "limits.exec.total", limits.total, shares)
        self._per_bearer = max(1, ceil(self._shares.per_family * shares.family))
        self._of_bearer: Counter[int] = Counter()
        self._clock = clock
        self._running: Counter[int] = Counter()

    def count(self, agent_id: int | None = None) -> int:
        """How many commands of an agent, or of all, have not ended."""
        return self._running.total() if agent_id is None else self._running[agent_id]

    async def run(
        self,
        agent_id: int,
        view: IView,
        command: Command,
        timeout: float,
        on_text: OnText | None = None,
        *,
        family: int | None = None,
    ) -> Ended:
        """Run a command to its end. Cancelling kills its process group.

        @param timeout: seconds; after that it is killed, reason `timeout`.
        @param on_text: gets the kept output as it comes.
        @param family: the family that it counts for; its own if none is given.
        @raise LimitExceeded: too many run already.
        @raise NotFound: no such program or directory.
        """
        run = Run(self._clock, self.limits, on_text)
        try:
            starting = self.start(agent_id, view, command, run.take, family=family)
            run.started(await starting, timeout)
            return run.ended(await run.over)
        finally:
            run.abandon()

    async def start(
        self,
        agent_id: int,
        view: IView,
        command: Command,
        output: Output,
        *,
        family: int | None = None,
        bearer: int | None = None,
    ) -> IRunning:
        """Start a command, which counts until it has ended; see L{run}.

        @param output: takes what it writes.
        @param bearer: stands for the token of a remote caller, which has a share of what its family has.
        """
        family = agent_id if family is None else family
        release = self._claim(agent_id, family, bearer)
        starting: Deferred[IRunning] = maybeDeferred(view.run, command, output)
        starting.addBoth(_watch, release, self._time_of(family))
        return await kept(starting, lambda running: running.kill())

    def _claim(self, agent_id: int, family: int, bearer: int | None) -> Callable[[], None]:
        """Count one more command; gives what counts it off again."""
        limits = self.limits
        if self._running[agent_id] >= limits.per_agent:
            raise LimitExceeded(
                f"this agent runs {limits.per_agent} commands already",
                hint="wait until one of them has ended",
            )
        if bearer is not None and self._of_bearer[bearer] >= self._per_bearer:
            raise LimitExceeded(
                f"{self._per_bearer} commands run with this token, its share of the"
                f" {self._shares.per_family} that all remote callers may have",
                hint="wait until one of them has ended; the operator can raise limits.exec.total"
                " or limits.shares",
            )
        self._shares.take(family)
        counted = [(self._running, agent_id)]
        if bearer is not None:
            counted.append((self._of_bearer, bearer))
        for counter, key in counted:
            counter[key] += 1

        def release() -> None:
            self._shares.give(family)
            for counter, key in counted:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

        return release


def _watch(
    result: IRunning | Failure, release: Callable[[], None], time: ReadingTime | None
) -> object:
    """Count a command as ended when its process has, even if the caller gave up."""
    if isinstance(result, Failure):
        release()
        return result

    def gone(status: object) -> object:
        release()
        return status

    result.done.addBoth(gone)
    if time is not None:
        result.outputs.read_in(time)
    return result
