"""Work that no request waits for: tracked, its failures logged."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

if TYPE_CHECKING:
    from clove.kernel.answers import Answer

__all__ = ["Background"]


class Background:
    """The kernel's; it is waited for when the kernel stops."""

    log = Logger()

    def __init__(self) -> None:
        self._tasks: set[Deferred[Any]] = set()

    def start(self, work: Awaitable[Any]) -> None:
        """Do some work."""
        self._track(Deferred.fromCoroutine(work))  # type: ignore[arg-type]

    def finish(self, answer: Answer[None]) -> None:
        """Have an answer come that nothing but the kernel's end waits for."""
        if isinstance(answer, Deferred):
            self._track(answer)

    def _track(self, task: Deferred[Any]) -> None:
        self._tasks.add(task)
        task.addErrback(lambda failure: self.log.failure("background work failed", failure=failure))
        task.addCallback(lambda _: self._tasks.discard(task))

    async def drain(self) -> None:
        """Wait until all of it is done."""
        while self._tasks:
            await next(iter(self._tasks))
