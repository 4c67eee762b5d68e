"""Pausing an agent and letting it go on, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import DeferredLock

from clove.errors import CloveError, InvalidRequest
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

    from clove.kernel.agents.lifecycle import Lifecycle
    from clove.sandbox.interface import ISandbox

__all__ = ["Pausing"]


class Pausing:
    """Holds an agent's processes to what its life cycle says.

    @param sandbox: gives what runs of the agent now; None: nothing does.
    @param notify: takes the name of an event, when it has happened.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        sandbox: Callable[[], ISandbox | None],
        notify: Callable[[str], None],
    ) -> None:
        self._lifecycle = lifecycle
        self._sandbox = sandbox
        self._notify = notify
        self._lock = DeferredLock()

    async def pause(self) -> None:
        """Stop all its processes.

        @raise InvalidRequest: it does not run.
        @raise CloveError: it could not be paused.
        """
        async with self._lock:
            if self._lifecycle.pause():
                sandbox = self._running()
                await self._carry_out(sandbox, sandbox.pause(), self._lifecycle.not_paused)
                self._notify("AGENT_PAUSED")

    async def resume(self) -> None:
        """Let them go on.

        @raise InvalidRequest: it is not paused.
        @raise CloveError: it could not be continued.
        """
        async with self._lock:
            if self._lifecycle.resume():
                sandbox = self._running()
                await self._carry_out(sandbox, sandbox.resume(), self._lifecycle.not_resumed)
                self._notify("AGENT_RESUMED")

    async def _carry_out(
        self, sandbox: ISandbox, work: Deferred[None], undo: Callable[[], None]
    ) -> None:
        """Wait until its processes are as its state says, or set the state right again."""
        try:
            await to_the_end(work)
        except CloveError:
            if self._sandbox() is sandbox:
                undo()
            raise
        if self._sandbox() is not sandbox:
            raise InvalidRequest("the agent has ended meanwhile")

    def _running(self) -> ISandbox:
        sandbox = self._sandbox()
        if sandbox is None:
            raise InvalidRequest("the agent has no process now")
        return sandbox
