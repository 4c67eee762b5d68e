"""The states of an agent, and which event leads from one to another. Pure.

starting -> running <-> paused
running, paused -> stopping -> exited
running, paused -> restarting -> starting, or exited, or escalated
running, paused -> stopping -> restarting -> starting (RESTART)
starting -> exited (it could not be started)
"""

from __future__ import annotations

from enum import Enum

import msgspec

from clove.errors import InvalidRequest
from clove.sandbox.interface import ExitStatus
from clove.supervisor import RestartPolicy, Supervisor, Verdict

__all__ = ["NOT_STARTED", "Lifecycle", "State"]


class State(Enum):
    """As LIST shows it."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    EXITED = "exited"
    ESCALATED = "escalated"


NOT_STARTED = 127
"""The exit code of what could not be started, as a shell gives it."""

_OVER = frozenset({State.EXITED, State.ESCALATED})


class Lifecycle(msgspec.Struct):
    """One agent's life.

    @ivar policy: when it is started again.
    @ivar reason: why its last process ended: exited, killed, timeout, disk, restarted, oom, pids,
        escalated.
    @ivar status: how its last process ended.
    """

    policy: RestartPolicy
    state: State = State.STARTING
    reason: str = ""
    status: ExitStatus = msgspec.field(default_factory=ExitStatus)
    _supervisor: Supervisor | None = None  # since its first end
    _again: bool = False  # it stops for RESTART
    _ordered: int = 0  # restarts by RESTART
    _stopped_by: str = "killed"

    @property
    def over(self) -> bool:
        """It will never run again."""
        return self.state in _OVER

    @property
    def restarts(self) -> int:
        """How often it was restarted, by its policy or by RESTART."""
        by_policy = 0 if self._supervisor is None else self._supervisor.restarts
        return by_policy + self._ordered

    def started(self) -> None:
        """Its process runs."""
        if self.state is State.STARTING:
            self.state = State.RUNNING

    def pause(self) -> bool:
        """It is to be paused; False if it is paused already.

        @raise InvalidRequest: it does not run.
        """
        if self.state is State.PAUSED:
            return False
        if self.state is not State.RUNNING:
            raise InvalidRequest(f"the agent is {self.state.value}, it cannot be paused")
        self.state = State.PAUSED
        return True

    def resume(self) -> bool:
        """It is to run on; False if it runs.

        @raise InvalidRequest: it is not paused.
        """
        if self.state is State.RUNNING:
            return False
        if self.state is not State.PAUSED:
            raise InvalidRequest(f"the agent is {self.state.value}, it is not paused")
        self.state = State.RUNNING
        return True

    def stop(self, reason: str = "killed") -> bool:
        """It is to end for good; True if a process must be ended for that."""
        again, self._again = self._again, False
        if self.over or (self.state is State.STOPPING and not again):
            return False
        self._stopped_by = reason
        if again:
            return False
        if self.state is State.RESTARTING:
            self.state = State.EXITED
            self.reason = reason
            return False
        self.state = State.STOPPING
        return True

    def restart(self) -> bool:
        """It is to be started anew by order; True if a process must be ended for that.

        False: it waits for its next start already. Its policy does not count such a restart.

        @raise InvalidRequest: it does not run, or is ending.
        """
        if self.state is State.RESTARTING:
            return False
        if self.state not in (State.RUNNING, State.PAUSED):
            raise InvalidRequest(f"the agent is {self.state.value}, it cannot be restarted")
        self.state = State.STOPPING
        self._again = True
        return True

    def require_running(self, what: str) -> None:
        """@raise InvalidRequest: it does not run; `what` says what it cannot do."""
        if self.state is not State.RUNNING:
            hint = "resume it first" if self.state is State.PAUSED else ""
            raise InvalidRequest(f"the agent is {self.state.value}, it cannot be {what}", hint=hint)

    def ended(self, status: ExitStatus, now: float) -> Verdict:
        """Its process has ended.

        @param now: seconds, monotonic.
        """
        stopping = self.state is State.STOPPING
        self.status = status
        self.reason = self._stopped_by if stopping else status.reason or "exited"
        if stopping and self._again:
            self._again = False
            self._ordered += 1
            self.reason = "restarted"
            self.state = State.RESTARTING
            return Verdict("restart")
        if stopping:
            self.state = State.EXITED
            return Verdict("stop")
        if self._supervisor is None:
            self._supervisor = Supervisor(self.policy)
        verdict = self._supervisor.ended(now, failed=status.code != 0)
        if verdict.action == "restart":
            self.state = State.RESTARTING
        elif verdict.action == "escalate":
            self.state = State.ESCALATED
            self.reason = "escalated"
        else:
            self.state = State.EXITED
        return verdict

    def starting(self) -> None:
        """A restart begins."""
        self.state = State.STARTING

    def never_started(self) -> None:
        """Its first process could not be started: it is over."""
        self.state = State.EXITED
        self.reason = "exited"
        self.status = ExitStatus(code=NOT_STARTED)

    def not_paused(self) -> None:
        """It could not be paused: it runs on."""
        if self.state is State.PAUSED:
            self.state = State.RUNNING

    def not_resumed(self) -> None:
        """It could not be continued: it stays as it was."""
        if self.state is State.RUNNING:
            self.state = State.PAUSED
