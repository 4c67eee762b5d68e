"""Which limit of its cgroup ended an agent, as a reason and as a line of its log."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from clove.errors import CloveError, LimitExceeded
from clove.sandbox.cgroup.tree import CgroupEvents, CgroupLimits
from clove.sandbox.interface import REMARK, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clove.sandbox.cgroup.tree import AgentCgroup
    from clove.sandbox.interface import Output
    from clove.threads.threads import Threads

__all__ = ["LimitWatch", "judge", "sentence"]

_SENTENCES: Final[Mapping[str, str]] = {
    "oom": "over its memory limit of {limits.memory} bytes: all of its processes were killed",
    "pids": "it failed after its limit of {limits.max_pids} processes and threads refused it more",
}


def judge(status: ExitStatus, before: CgroupEvents, after: CgroupEvents) -> ExitStatus:
    """An exit status with the limit as its reason, if it was one.

    Running out of memory kills by SIGKILL, and the kernel counts it before the
    signal is sent. A refused fork kills no process: it counts as the reason when
    the agent then ended itself as failed.

    @param before: what had happened in the cgroup when the process started; it
        outlives restarts.
    @param after: what had when it was over.
    """
    if not may_be_limit(status):
        return status
    if status.signal == signal.SIGKILL:
        return replace(status, reason="oom") if after.oom_kills > before.oom_kills else status
    return replace(status, reason="pids") if after.pids_max > before.pids_max else status


def may_be_limit(status: ExitStatus) -> bool:
    """Whether a limit may be the reason of an end: not of a success, nor of most signals."""
    by_limit = (signal.SIGKILL, signal.SIGABRT)
    return not status.reason and (bool(status.code) or status.signal in by_limit)


def sentence(reason: str, limits: CgroupLimits) -> str:
    """A line for the agent's log; empty for other reasons than limits."""
    text = _SENTENCES.get(reason)
    return f"clove: {text.format(limits=limits)}\n" if text else ""


class LimitWatch:
    """What an agent runs into in its cgroup, from the start of one process to its end."""

    def __init__(self, threads: Threads, cgroup: AgentCgroup, limits: CgroupLimits) -> None:
        self._threads = threads
        self._cgroup = cgroup
        self._limits = limits
        self._before = CgroupEvents()

    async def begin(self) -> None:
        """Before a process starts that is not the cgroup's first.

        @raise LimitExceeded: too many calls wait for a thread.
        """
        self._before = await self._threads.run(_events, self._cgroup)

    async def explain_refusal(self, error: CloveError) -> CloveError:
        """What to tell of a program that never ran: its own limits, if they were the cause."""
        try:
            after = await self._threads.run(_events, self._cgroup)
        except CloveError:
            return error
        if after.oom_kills > self._before.oom_kills:
            limit = f"memory limit of {self._limits.memory} bytes"
        elif after.pids_max > self._before.pids_max:
            limit = f"limit of {self._limits.max_pids} processes and threads"
        else:
            return error
        return LimitExceeded(
            f"the program does not fit into its {limit}",
            hint="the sandbox's own processes count as well; ask for more in `limits`",
        )

    async def end(self, status: ExitStatus, output: Output) -> ExitStatus:
        """When it is over, and its cgroup is still there.

        @param output: takes a line about the limit that ended it.
        """
        if not may_be_limit(status):  # it need not wait for a thread
            return status
        try:
            after = await self._threads.run(_events, self._cgroup)
        except CloveError:  # the reason is a help, not worth the agent's end
            return status
        judged = judge(status, self._before, after)
        if judged is not status:
            output(REMARK, sentence(judged.reason, self._limits).encode())
        return judged


def _events(cgroup: AgentCgroup) -> CgroupEvents:
    """For a thread: the counts until now; none where they cannot be read."""
    try:
        return cgroup.events
    except OSError:
        return CgroupEvents()
