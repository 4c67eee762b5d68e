"""What a relay does again and again beside requests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Recurring"]

Work = Callable[[], Coroutine[Any, Any, object]]


class Recurring:
    """Work that recurs from L{start} to L{stop}; what is written is written a last time then."""

    log = Logger()

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._work: list[tuple[float, Work]] = []
        self._writes: list[Work] = []
        self._loops: list[LoopingCall] = []

    def do(self, seconds: float, work: Work) -> None:
        """Do this every so many seconds; the next time waits until the last is over."""
        self._work.append((seconds, work))

    def write(self, seconds: float, what: str, write: Work) -> None:
        """Likewise; where it fails that is said, and it is tried again the next time.

        @param what: is written, in words.
        """

        async def attempt() -> None:
            try:
                await write()
            except Exception as error:
                self.log.error("{what} is not written: {error}", what=what, error=str(error))

        self._writes.append(attempt)
        self.do(seconds, attempt)

    def start(self) -> None:
        """Begin."""
        for seconds, work in self._work:
            loop = LoopingCall(lambda work=work: Deferred.fromCoroutine(work()))
            loop.clock = self._clock
            self._loops.append(loop)
            loop.start(seconds, now=False).addErrback(
                lambda failure: self.log.failure("repeated work has ended", failure=failure)
            )

    def stop(self) -> None:
        """Begin none of it any more."""
        for loop in self._loops:
            if loop.running:  # one that has failed is not
                loop.stop()

    async def write_last(self) -> None:
        """Write what is written from time to time, whether or not it was begun."""
        for write in self._writes:
            await write()
