"""One agent: its life cycle carried out on a real process.

The decisions are L{Lifecycle}'s; this shell starts, signals and restarts, and
answers what waits for its end.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.kernel.agents.lifecycle import NOT_STARTED, Lifecycle, State
from clove.kernel.agents.pausing import Pausing
from clove.sandbox.interface import REMARK, ExitStatus

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.agents.end_limiter import EndLimiter, EndPermit
    from clove.kernel.launch.launch import Launched
    from clove.kernel.logs.logbook import Logbook
    from clove.kernel.principal import Principal
    from clove.sandbox.interface import ISandbox

__all__ = ["Agent"]

Notify = Callable[["Agent", str, dict[str, Any]], None]


class Agent:
    """A spawned agent.

    @ivar sandbox: what runs now; None before the start and between restarts.
    @ivar isolation: what is enforced, as SPAWN's reply gives it.
    @ivar warm: its process was forked from the zygote.
    @ivar cgroup: path of its cgroup, if it has one.
    @param command: what it runs, as it is shown to people.
    """

    log = Logger()

    def __init__(
        self,
        principal: Principal,
        lifecycle: Lifecycle,
        logbook: Logbook,
        *,
        clock: IReactorTime,
        launch: Callable[[Agent], Awaitable[Launched]],
        notify: Notify,
        over: Callable[[Agent], None],
        grace: float,
        ends: EndLimiter,
        command: str = "",
    ) -> None:
        self.principal = principal
        self.agent_id = principal.agent_id
        self.name = principal.name
        self.command = command
        self.parent_id = principal.parent_id
        self.lifecycle = lifecycle
        self.logbook = logbook
        self.sandbox: ISandbox | None = None
        self.isolation: dict[str, Any] = {}
        self.warm = False
        self.cgroup: str | None = None
        self._clock = clock
        self._launch = launch
        self._notify = notify
        self._over = over
        self._grace = grace
        self._ends = ends
        self._end_permit: EndPermit | None = None
        self._started_at = clock.seconds()
        self._ended_at: float | None = None
        self._restart_call: IDelayedCall | None = None
        self._restarting: Deferred[None] | None = None
        self._kill_call: IDelayedCall | None = None
        self._waiters: set[Deferred[None]] = set()

    # facts

    @property
    def pid(self) -> int:
        """Host pid of the main process; 0 when none runs."""
        return self.sandbox.pid if self.sandbox is not None else 0

    @property
    def processes(self) -> tuple[int, ...]:
        """Host pids of which one is, or is above, each process of its; empty when none runs."""
        return self.sandbox.processes if self.sandbox is not None else ()

    @property
    def state(self) -> str:
        """As LIST shows it."""
        return self.lifecycle.state.value

    @property
    def uptime_ms(self) -> int:
        """Milliseconds since its last start, or until its end."""
        end = self._clock.seconds() if self._ended_at is None else self._ended_at
        return int((end - self._started_at) * 1000)

    @property
    def restarts(self) -> int:
        """How often it was restarted."""
        return self.lifecycle.restarts

    @functools.cached_property
    def pausing(self) -> Pausing:
        """Stops its processes for a while; made when that is first asked for."""
        return Pausing(
            self.lifecycle, lambda: self.sandbox, lambda what: self._notify(self, what, {})
        )

    # starting

    async def start(self) -> None:
        """Start its process.

        @raise CloveError: it could not be started; nothing of it is left.
        """
        launched = await self._launch(self)
        sandbox = launched.sandbox
        self.sandbox = sandbox
        self.isolation = launched.isolation
        self.warm = sandbox.warm
        self.cgroup = launched.cgroup
        self.logbook.follow_source(sandbox.outputs)
        self._started_at = self._clock.seconds()
        self._ended_at = None
        sandbox.done.addCallback(self._exited)
        stopped_meanwhile = self.lifecycle.state is not State.STARTING
        self.lifecycle.started()
        if stopped_meanwhile:
            sandbox.kill()

    def _restart(self) -> None:
        self._restart_call = None
        self.lifecycle.starting()

        def restarted(_: None) -> None:
            self._restarting = None

        self._restarting = Deferred.fromCoroutine(self.start())
        self._restarting.addCallbacks(restarted, self._restart_failed)

    def _restart_failed(self, failure: Any) -> None:
        """It counts as a failed exit."""
        self._restarting = None
        if not failure.check(CloveError, CancelledError):
            self.log.failure("agent {id} could not be restarted", failure=failure, id=self.agent_id)
        if not failure.check(CancelledError):
            text = f"clove: restart failed: {failure.value}\n"
            self.logbook.append_output(REMARK, text.encode(errors="backslashreplace"))
        self._exited(ExitStatus(code=NOT_STARTED))

    def never_started(self) -> None:
        """Its first start failed: answer what waits for its end."""
        self.lifecycle.never_started()
        self._finish()

    # ending

    def _exited(self, status: ExitStatus) -> None:
        self.sandbox = None
        self.logbook.follow_source(None)
        self._ended_at = self._clock.seconds()
        if self._end_permit is not None:
            self._end_permit.release()
            self._end_permit = None
        if self._kill_call is not None:
            self._kill_call.cancel()
            self._kill_call = None
        verdict = self.lifecycle.ended(status, self._clock.seconds())
        self._tell_end(restarting=verdict.action == "restart")
        self._follow(verdict.action, verdict.delay)

    def _tell_end(self, *, restarting: bool) -> None:
        """AGENT_EXITED: for each end of its process, and when it is given up between two."""
        status = self.lifecycle.status
        facts = {
            "exit_code": status.code,
            "signal": status.signal,
            "reason": self.lifecycle.reason,
            "restarting": restarting,
        }
        self._notify(self, "AGENT_EXITED", facts)

    def _follow(self, action: str, delay: float) -> None:
        facts = {"restart_count": self.restarts, "exit_code": self.lifecycle.status.code}
        if action == "restart":
            self._restart_call = self._clock.callLater(delay, self._restart)
            self._notify(self, "AGENT_RESTARTING", {**facts, "delay": delay})
            return
        if action == "escalate":
            self._notify(self, "AGENT_ESCALATED", facts)
        self._finish()

    def _finish(self) -> None:
        """Release all that running it took: an ended agent may be kept for long."""
        self.logbook.close()
        self._launch = _never_again
        self.principal.view = None
        self._over(self)
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            waiter.callback(None)

    def wait(self) -> Deferred[None]:
        """Fires when it is over for good."""
        deferred: Deferred[None] = Deferred(lambda d: self._waiters.discard(d))
        if self.lifecycle.over:
            deferred.callback(None)
        else:
            self._waiters.add(deferred)
        return deferred

    def stop(self) -> None:
        """End it for good, in its turn: SIGTERM, then SIGKILL after the grace period."""
        if self._restart_call is not None:
            self._restart_call.cancel()
            self._restart_call = None
            self.lifecycle.stop()
            self._tell_end(restarting=False)
            self._finish()
        elif not self.lifecycle.stop():
            return
        elif self.sandbox is not None:
            self._end_in_turn(self._terminate)
        elif self._restarting is not None:
            self._restarting.cancel()

    def _end_in_turn(self, act: Callable[[ISandbox], None]) -> None:
        def begin() -> None:
            if self.sandbox is not None:
                act(self.sandbox)

        permit = self._ends.admit(begin)
        if self.sandbox is None:  # it has ended at once
            permit.release()
        else:
            self._end_permit = permit

    def _terminate(self, sandbox: ISandbox) -> None:
        self._kill_call = self._clock.callLater(self._grace, self._force)
        sandbox.terminate()

    def _force(self) -> None:
        self._kill_call = None
        self._end_in_turn(lambda sandbox: sandbox.kill())


async def _never_again(agent: Agent) -> Launched:
    """How an ended agent is launched.

    @raise Unavailable: always.
    """
    raise Unavailable(f"agent {agent.agent_id} has ended")
