"""A limit of memory without a cgroup: a watch that ends the agent's processes, where that was accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError
from clove.kernel.launch.memory_usage import memory_of
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.sandbox.interface import ExitStatus, ISandbox
    from clove.threads.threads import Threads

__all__ = ["MemoryLimit"]

BETWEEN: Final = 20
"""Of the time that a look took, what lies between two of them at least."""


class MemoryLimit:
    """One run's, from its start to its end.

    @param interval: seconds between two looks at least.
    @param say: takes a line for the agent's log.
    @ivar most: bytes that its processes may have together; 0: there is no limit.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        interval: float,
        threads: Threads,
        sandbox: ISandbox,
        say: Callable[[bytes], None],
        most: int,
    ) -> None:
        self.most = most
        self._reactor = reactor
        self._interval = interval
        self._threads = threads
        self._sandbox = sandbox
        self._say = say
        self._is_over = self._has_ended = False
        self._call: Any = None
        self._wait(interval)
        sandbox.done.addCallback(self._ended)

    @property
    def watching(self) -> bool:
        """Whether it is what holds the agent now."""
        return not self._has_ended

    def _ended(self, status: ExitStatus) -> ExitStatus:
        self._has_ended = True
        if self._call is not None:
            self._call.cancel()
        return replace(status, reason="oom") if self._is_over and not status.reason else status

    def _wait(self, seconds: float) -> None:
        self._call = self._reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        self._call = None
        Deferred.fromCoroutine(self._count()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CloveError) is None:  # else no thread was free
            self.log.failure("an agent's memory cannot be counted", failure=failure)
        if self.watching:
            self._wait(self._interval)

    async def used(self, most: int) -> int:
        """Bytes that its processes have together now.

        @param most: a sum up to that need not be exact.
        """
        return await to_the_end(self._threads.run(memory_of, self._sandbox.processes, most))

    async def _count(self) -> None:
        """Look once, and see to the next time."""
        most, begun = self.most, self._reactor.seconds()
        used = await self.used(most) if most > 0 else 0
        if not self.watching:
            return
        if used > most > 0:
            self._is_over = True
            text = f"over its memory limit of {most} bytes: its processes have {used} together"
            self._say(f"clove: {text}\n".encode())
            self._sandbox.kill()
        else:
            self._wait(max(self._interval, BETWEEN * (self._reactor.seconds() - begun)))
