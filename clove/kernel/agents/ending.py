"""The end of an agent's process by order: SIGTERM, SIGKILL after the grace period, and who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clove.kernel.agents.waiters import Waiters

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.agents.end_limiter import EndLimiter, EndPermit
    from clove.sandbox.interface import ISandbox

__all__ = ["Ending"]


class Ending:
    """Ends what runs of one agent, each time in its turn.

    @ivar ended: what waits until it has ended for good.
    @ivar restarted: what waits until it runs again.
    @param sandbox: gives what runs of the agent now; None: nothing does.
    @param ends: whose turn it is, of all agents.
    """

    def __init__(
        self, clock: IReactorTime, ends: EndLimiter, sandbox: Callable[[], ISandbox | None]
    ) -> None:
        self._clock = clock
        self._ends = ends
        self._sandbox = sandbox
        self._permit: EndPermit | None = None
        self._kill_call: IDelayedCall | None = None
        self._grace = 0.0
        self.ended = Waiters()
        self.restarted = Waiters()

    def begin(self, grace: float) -> None:
        """End it in its turn.

        @param grace: seconds from SIGTERM to SIGKILL; 0: SIGKILL at once.
        """
        self._grace = grace
        self._in_turn(self._terminate)

    def hasten(self, grace: float) -> None:
        """Let it have no more than so many seconds from now on."""
        self._grace = min(self._grace, grace)
        call = self._kill_call
        if call is not None and call.getTime() - self._clock.seconds() > grace:
            call.reset(grace)

    def over(self) -> None:
        """What ran has ended."""
        if self._permit is not None:
            self._permit.release()
            self._permit = None
        if self._kill_call is not None:
            self._kill_call.cancel()
            self._kill_call = None

    def _in_turn(self, act: Callable[[ISandbox], None]) -> None:
        def begin() -> None:
            sandbox = self._sandbox()
            if sandbox is not None:
                act(sandbox)

        permit = self._ends.admit(begin)
        if self._sandbox() is None:  # it has ended at once
            permit.release()
        else:
            self._permit = permit

    def _terminate(self, sandbox: ISandbox) -> None:
        if self._grace <= 0:
            sandbox.kill()
            return
        self._kill_call = self._clock.callLater(self._grace, self._force)
        sandbox.terminate()

    def _force(self) -> None:
        self._kill_call = None
        self._in_turn(lambda sandbox: sandbox.kill())
