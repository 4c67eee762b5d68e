"""The limit of an agent's workspace: a quota of the file system's, else a watch that ends the agent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from clove.errors import CloveError
from clove.kernel.launch.disk_quota import NoQuota, clear_quota, project_of, set_quota
from clove.kernel.launch.disk_usage import Walk
from clove.sharing.fair_queue import FairQueue, Path
from clove.sharing.fair_semaphore import FairSemaphore, Permit
from clove.sharing.shares import ShareLimits
from clove.threads.threads import to_the_end

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from clove.kernel.launch.limits import AgentLimits
    from clove.threads.threads import Threads

__all__ = ["DiskLimit", "DiskWatches"]

PIECE: Final = 0.02
"""Seconds that a thread counts at a time."""
REST: Final = 4
"""Of the time that counting takes, how often it pauses beside; and 20 times that lies between two counts."""
PATIENCE: Final = 5
"""Counts in a row that may miss something before the agent is ended for it."""
BETWEEN: Final = 20


class DiskWatches:
    """What all watches share.

    @ivar walks: permits for counts under way.
    """

    def __init__(self, reactor: Any, bounds: AgentLimits, shares: ShareLimits | None) -> None:
        self.reactor = reactor
        self.interval = bounds.disk_interval
        queue: FairQueue[Permit] = FairQueue.shared(bounds.disk_walks, shares or ShareLimits())
        self.walks = FairSemaphore(reactor, queue)

    def limit(
        self, path: Path, threads: Threads, home: str, most: int, over: Callable[[bytes], None]
    ) -> DiskLimit:
        """That of one agent, which holds nothing yet.

        @param path: the agent's.
        @param home: its workspace.
        @param most: bytes; 0: none until L{DiskLimit.change}.
        @param over: ends the agent, with a line for its log.
        """
        return DiskLimit(self, path, threads, home, most, over)


class DiskLimit:
    """One agent's that has one, until its workspace is removed.

    @ivar how: "quota" or "watched" once it holds; "" while it does not.
    """

    log = Logger()

    def __init__(
        self,
        shared: DiskWatches,
        path: Path,
        threads: Threads,
        home: str,
        most: int,
        over: Callable[[bytes], None],
    ) -> None:
        """See L{DiskWatches.limit}."""
        self.how = ""
        self._shared = shared
        self._path = path
        self._threads = threads
        self._home = home
        self._most = most
        self._end = over
        self._running = False
        self._call: Any = None
        self._missed = 0
        self._stopped = False

    def begin(self) -> None:
        """Hold a workspace in which nobody has written to its limit. Blocking."""
        if os.geteuid() == 0 and self.how != "watched":
            with contextlib.suppress(NoQuota):
                set_quota(self._home, project_of(self._path[-1]), self._most)
                self.how = "quota"
                return
        self.how = "watched"

    async def change(self, most: int) -> None:
        """Hold it to another limit from now on."""
        if most == self._most:
            return
        begun, self._most = bool(self.how), most
        if begun and self.how == "quota":
            await self._threads.run(self.begin)
        elif not begun:  # there may be files that no quota would count
            self.how = "watched"
        self._watch()

    def watch(self) -> None:
        """The agent runs: have it ended where that is what holds it."""
        self._running = True
        self._watch()

    def _watch(self) -> None:
        if self.how == "watched" and self._call is None and self._running and not self._stopped:
            self._call = self._shared.reactor.callLater(self._shared.interval, self._look)

    def _look(self) -> None:
        Deferred.fromCoroutine(self._count()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CloveError, OSError) is None:
            self.log.failure("a workspace cannot be counted", failure=failure)
        self._call = None
        self._watch()  # as well as before

    async def _count(self) -> None:
        """Count once, and see to the next time."""
        reactor = self._shared.reactor
        async with self._shared.walks.permit(self._path):
            begun = reactor.seconds()
            walk = await self._run(lambda: _begin(self._home, self._most))
            if isinstance(walk, Walk):
                await self._advance(walk)
            spent = reactor.seconds() - begun
        self._call = None
        if self._stopped or walk is None:
            return
        used, hidden = (walk.used, walk.hidden) if isinstance(walk, Walk) else (0, walk)
        self._missed = self._missed + 1 if hidden else 0
        if used > self._most:
            self._over(f"{used} bytes are in it")
        elif self._missed >= PATIENCE:
            self._over(f"what is in it cannot be counted: {hidden}")
        else:
            after = max(self._shared.interval, BETWEEN * spent / (1 + REST))
            self._call = reactor.callLater(after, self._look)

    async def _advance(self, walk: Walk) -> None:
        while not self._stopped:
            if await self._run(lambda: walk.advance(PIECE)):
                return
            rest: Deferred[None] = Deferred()
            self._shared.reactor.callLater(REST * PIECE, rest.callback, None)
            await rest
        await self._run(walk.close)

    async def _run(self, function: Callable[[], Any]) -> Any:
        return await to_the_end(self._threads.run(function))

    def _over(self, reason: str) -> None:
        text = f"clove: over its disk limit of {self._most} bytes for its workspace: {reason}\n"
        self._end(text.encode())

    def stop(self) -> None:
        """The agent has ended. Idempotent."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def remove(self) -> None:
        """The workspace is gone: forget the quota. Blocking; idempotent.

        @raise OSError: it stays.
        """
        if self.how == "quota":
            self.how = ""
            clear_quota(os.path.dirname(os.path.dirname(self._home)), project_of(self._path[-1]))


def _begin(home: str, most: int) -> Walk | str | None:
    """The count of a workspace, or why there is none; None: it is being removed."""
    try:
        return Walk(home, most)
    except FileNotFoundError:
        return None
    except PermissionError:
        return "only the agent may open it"
