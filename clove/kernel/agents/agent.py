"""One agent: its life cycle carried out on a real process.

The decisions are L{Lifecycle}'s; this shell starts, signals and restarts, and
answers what waits for its end.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger

from clove.errors import CloveError, Unavailable
from clove.kernel.agents.ending import Ending
from clove.kernel.agents.lifecycle import NOT_STARTED, Lifecycle, State
from clove.kernel.agents.pausing import Pausing
from clove.sandbox.interface import REMARK, ExitStatus

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.agents.end_limiter import EndLimiter
    from clove.kernel.agents.starts import Launches
    from clove.kernel.launch.agent_stdin import AgentStdin
    from clove.kernel.launch.launch import Launched
    from clove.kernel.logs.logbook import Logbook
    from clove.kernel.principal import Principal
    from clove.messages.agents import SpawnRequest
    from clove.sandbox.interface import ISandbox

__all__ = ["Agent"]

Notify = Callable[["Agent", str, dict[str, Any]], None]


class Agent:
    """A spawned agent.

    @ivar sandbox: what runs now; None before the start and between restarts.
    @ivar isolation: what is enforced, as SPAWN's reply gives it.
    @ivar warm: its process was forked from the zygote.
    @ivar cgroup: path of its cgroup, if it has one.
    @ivar labels: what its SPAWN says about it, for people and scripts.
    @ivar forget: once it has ended, it is not known any more.
    @ivar stdin: what it reads, where that is a stream.
    @ivar request: what SPAWN asked for; None once it has ended.
    @ivar provision: what it has on the host; None once it has ended.
    @param command: what it runs, as it is shown to people.
    """

    log = Logger()
    labels: Mapping[str, str] = {}
    forget = False

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
        self.stdin: AgentStdin | None = None
        self.request: SpawnRequest | None = None
        self.provision: Launches | None = None
        self._clock = clock
        self._launch = launch
        self._notify = notify
        self._over = over
        self._grace = grace
        self._ends = ends
        self._started_at = clock.seconds()
        self._ended_at: float | None = None
        self._restart_call: IDelayedCall | None = None
        self._restarting: Deferred[None] | None = None

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
    def ended_ms_ago(self) -> int:
        """Milliseconds since its last process ended; 0 while one runs."""
        return 0 if self._ended_at is None else int((self._clock.seconds() - self._ended_at) * 1000)

    @property
    def restarts(self) -> int:
        """How often it was restarted."""
        return self.lifecycle.restarts

    # what most agents never need before their end

    @functools.cached_property
    def pausing(self) -> Pausing:
        """Stops its processes for a while."""
        return Pausing(
            self.lifecycle, lambda: self.sandbox, lambda what: self._notify(self, what, {})
        )

    @functools.cached_property
    def _ending(self) -> Ending:
        """Ends its processes, and has those that wait for that."""
        return Ending(self._clock, self._ends, lambda: self.sandbox)

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
            if self.lifecycle.state is State.RUNNING:  # else it was stopped meanwhile
                self._ending.restarted.fire()

        self._restarting = Deferred.fromCoroutine(self.start())
        self._restarting.addCallbacks(restarted, self._restart_failed)

    def _restart_failed(self, failure: Any) -> None:
        """It counts as a failed exit."""
        self._restarting = None
        self._ending.restarted.fail(_not_restarted(self.agent_id, failure.value))
        if not failure.check(CloveError, CancelledError):
            self.log.failure(
                "agent {agent} could not be restarted", failure=failure, agent=self.agent_id
            )
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
        self._ending.over()
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
        if self.stdin is not None:
            self.stdin.close()
        self._launch = _never_again
        self.request = self.provision = None
        self.principal.view = None
        self._over(self)
        self._ending.restarted.fail(_not_restarted(self.agent_id, None))
        self._ending.ended.fire()

    def wait(self) -> Deferred[None]:
        """Fires when it is over for good."""
        return succeed(None) if self.lifecycle.over else self._ending.ended.add()

    def restart(self, grace: float | None = None) -> Deferred[None]:
        """End its process and start it anew; fires when it runs again.

        @param grace: seconds from SIGTERM to SIGKILL; None: as KILL has them.
        @raise InvalidRequest: it does not run, or is ending.
        @return: fails with L{CloveError} if it cannot be started, or is ended meanwhile.
        """
        must_end = self.lifecycle.restart()
        restarted = self._ending.restarted.add()
        if must_end:
            self._ending.begin(self._grace if grace is None else grace)
        elif self._restart_call is not None:
            self._restart_call.cancel()
            self._restart()
        return restarted

    def stop(self, grace: float | None = None, reason: str = "killed") -> None:
        """End it for good, in its turn: SIGTERM, then SIGKILL after the grace period.

        @param grace: seconds of it; None: the usual ones. One that is ending already has
            no more than these from now on.
        @param reason: as WAIT gives it.
        """
        if self._restart_call is not None:
            self._restart_call.cancel()
            self._restart_call = None
            self.lifecycle.stop(reason)
            self._tell_end(restarting=False)
            self._finish()
        elif not self.lifecycle.stop(reason):
            if grace is not None:
                self._ending.hasten(grace)
        elif self.sandbox is not None:
            self._ending.begin(self._grace if grace is None else grace)
        elif self._restarting is not None:
            self._restarting.cancel()


async def _never_again(agent: Agent) -> Launched:
    """How an ended agent is launched.

    @raise Unavailable: always.
    """
    raise Unavailable(f"agent {agent.agent_id} has ended")


def _not_restarted(agent_id: int, error: object) -> CloveError:
    """What those are told that wait for a restart."""
    if isinstance(error, CloveError):
        return error
    return Unavailable(f"agent {agent_id} has ended and was not restarted")
