"""A semaphore that gives permits in a fair queue's turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout

from clove.errors import LimitExceeded

if TYPE_CHECKING:
    from clove.sharing.fair_queue import FairQueue, Path

__all__ = ["FairSemaphore", "Permit"]


class Permit:
    """A permit that is waited for, and held from then on: C{async with permit}.

    @ivar path: of the caller.
    """

    __slots__ = ("_granted", "_semaphore", "path")

    def __init__(self, semaphore: FairSemaphore, path: Path) -> None:
        self.path = path
        self._semaphore = semaphore
        self._granted: Deferred[None] | None = None

    async def __aenter__(self) -> None:
        """Wait for it.

        @raise LimitExceeded: it does not come in time.
        """
        await self._semaphore._acquire(self)

    async def __aexit__(self, *_: object) -> None:
        self._semaphore._release(self)


class FairSemaphore:
    """As many permits as a queue takes into service; a caller that asks for one more waits for its turn.

    @param timeout: seconds that one waits at most; None: as long as it takes.
    @param others: what is being waited for, in words ("other dry runs are being made").
    @param hint: what to do beside waiting.
    """

    def __init__(
        self,
        clock: Any,
        queue: FairQueue[Permit],
        timeout: float | None = None,
        others: str = "others are served",
        hint: str = "",
    ) -> None:
        self._clock = clock
        self._queue = queue
        self._timeout = timeout
        self._others = others
        self._hint = "; ".join(part for part in ("try again later", hint) if part)

    def waiting(self, path: Path) -> int:
        """How many wait at a path and below it."""
        return self._queue.waiting(path)

    def permit(self, path: Path) -> Permit:
        """A permit to be waited for."""
        return Permit(self, path)

    async def _acquire(self, permit: Permit) -> None:
        if self._queue.start(permit):
            return
        granted: Deferred[None] = Deferred()
        permit._granted = granted
        self._queue.add(permit)
        self._grant()
        if self._timeout is not None:
            granted.addTimeout(self._timeout, self._clock)
        try:
            await granted
        except DeferredTimeout:
            self._release(permit)
            raise LimitExceeded(
                f"no turn within {self._timeout:g} seconds: {self._others}", hint=self._hint
            ) from None
        except BaseException:
            self._release(permit)
            raise

    def _release(self, permit: Permit) -> None:
        """A permit is given back, or no longer waited for."""
        if not self._queue.finish(permit):
            self._queue.withdraw(permit)
        self._grant()

    def _grant(self) -> None:
        while (permit := self._queue.next()) is not None:
            granted, permit._granted = permit._granted, None
            if granted is not None:
                granted.callback(None)
