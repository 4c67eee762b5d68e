"""Children that the zygote has forked ahead of the SPAWNs that will take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from clove.sandbox.cgroup.agent_cgroup import AgentCgroup
from clove.sandbox.cgroup.tree import CgroupTree
from clove.sandbox.zygote.child import NewChild
from clove.threads.threads import Threads

__all__ = ["PreforkPool"]

REFILL_SECONDS = 0.02
"""From taking a child to forking the next: by then the first needs the processors less."""


class PreforkPool:
    """A few children, each in a cgroup of its own.

    @param count: how many there shall be.
    @param cgroups: None where there are none.
    @param fork: makes a child in a cgroup, or None.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        threads: Threads,
        count: int,
        cgroups: CgroupTree | None,
        fork: Callable[[AgentCgroup | None], Awaitable[NewChild | None]],
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._count = count
        self._cgroups = cgroups
        self._fork = fork
        self._there: deque[NewChild] = deque()
        self._making = 0
        self._named = 0
        self._refill: IDelayedCall | None = None
        self._stopped = False

    def take(self) -> NewChild | None:
        """One of them; None: there is none."""
        while self._there:
            child = self._there.popleft()
            if not child.process.ended:
                if self._refill is None:
                    self._refill = self._clock.callLater(REFILL_SECONDS, self.fill)
                return child
            self._discard(child)
        return None

    def renew(self) -> None:
        """Replace all of them: they are copies of a zygote that has been replaced."""
        self._drop()
        self.fill()

    def fill(self) -> None:
        """Have as many as there shall be."""
        if self._refill is not None and self._refill.active():
            self._refill.cancel()
        self._refill = None
        for _ in range(self._count - len(self._there) - self._making):
            self._making += 1
            Deferred.fromCoroutine(self._add()).addBoth(self._added)

    async def _add(self) -> None:
        cgroup = None
        if self._cgroups is not None:
            self._named += 1
            cgroup = await self._threads.run(self._cgroups.make, f"warm-{self._named}")
        child = None if self._stopped else await self._fork(cgroup)
        if child is not None and not self._stopped:
            self._there.append(child)
        elif child is not None:
            child.abandon()
        elif cgroup is not None and not self._stopped:
            await self._threads.run(cgroup.remove)

    def _added(self, result: object) -> None:
        self._making -= 1
        if isinstance(result, Failure):
            self.log.info("no preforked child: {error}", error=result.getErrorMessage())

    def _drop(self) -> None:
        while self._there:
            self._discard(self._there.popleft())

    def _discard(self, child: NewChild) -> None:
        child.abandon()
        if child.cgroup is not None and not self._stopped:
            self._threads.run(child.cgroup.remove).addErrback(self._stays)

    def _stays(self, failure: Failure) -> None:
        self.log.info(
            "the cgroup of a preforked child stays: {error}", error=failure.getErrorMessage()
        )

    def stop(self) -> None:
        """End them; their cgroups go with the others."""
        self._stopped = True
        self._count = 0
        if self._refill is not None and self._refill.active():
            self._refill.cancel()
        self._refill = None
        self._drop()
