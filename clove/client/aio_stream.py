"""The asyncio client's time-outs, and its replies that come in pieces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from clove.client.aio_link import AioLink, Turn
from clove.client.call import StreamCall
from clove.client.pieces import Pieces
from clove.client.waiters import Waiter
from clove.errors import ConnectionLost, TimedOut

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["AsyncStream", "Started", "deadline_in", "until"]

T = TypeVar("T")
S = TypeVar("S")
Started = tuple[AioLink, Waiter[Turn]]
"""A request that was sent, and where."""


def deadline_in(seconds: float | None) -> float | None:
    """That many seconds from now, by the running loop's clock; None for never."""
    return None if seconds is None else asyncio.get_running_loop().time() + seconds


@contextlib.asynccontextmanager
async def until(deadline: float | None) -> AsyncIterator[None]:
    """Cancel what runs inside when it is late.

    @param deadline: of the running loop's clock; None: never.
    @raise TimedOut: it was late.
    """
    try:
        async with asyncio.timeout_at(deadline) as scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise TimedOut("the kernel did not answer in time") from None


class AsyncStream(Generic[T, S]):
    """Iterate (`async for`) over the pieces of a reply as they come.

    The call is made when the iteration, or `async with`, begins. Leaving it early (`close`,
    `async with`, or throwing it away) cancels the call, as does cancelling a task that waits for a piece.

    @param start: makes the call.
    @param seconds: that it may take; None: as long as it takes.
    """

    def __init__(
        self,
        call: StreamCall[T, S],
        start: Callable[[StreamCall[T, S]], Awaitable[Started]],
        seconds: float | None,
    ) -> None:
        self._call = call
        self._start = start
        self._seconds = seconds
        self._pieces = Pieces(call)
        self._started: Started | None = None
        self._deadline: float | None = None
        self._busy = False

    @property
    def result(self) -> T | None:
        """The whole reply, once the iteration is over."""
        return self._pieces.result

    @property
    def link(self) -> AioLink | None:
        """The connection that it comes by; None before it has begun and when it is over."""
        return None if self._started is None else self._started[0]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> S:
        while True:
            for piece in self._pieces:
                return piece
            if self._pieces.is_over:
                raise StopAsyncIteration
            await self._add_frame()

    async def _add_frame(self) -> None:
        if self._busy:
            raise RuntimeError("another task waits for this stream's next piece")
        self._busy = True
        try:
            link, waiter = await self._begun()
            async with until(self._deadline):
                frame = await link.next_frame(waiter)
            self._pieces.add(*frame)
            if self._pieces.is_over:
                self._started = None
        except BaseException:
            self._abandon()
            raise
        finally:
            self._busy = False

    async def _begun(self) -> Started:
        """Make the call, if it is not made yet."""
        if self._started is None:
            self._deadline = deadline_in(self._seconds)
            async with until(self._deadline):
                self._started = await self._start(self._call)
        return self._started

    async def finish(self) -> T:
        """Take whatever is left and give the whole reply."""
        async for _ in self:
            pass
        if self.result is None:
            raise ConnectionLost("this stream was closed before its end")
        return self.result

    async def close(self) -> None:
        """Abandon the rest."""
        self._abandon()

    aclose = close
    """As asynchronous generators have it, and `contextlib.aclosing` calls it."""

    def _abandon(self) -> None:
        started, self._started = self._started, None
        self._pieces.abandon()
        if started is not None:
            started[0].abandon(started[1])

    async def __aenter__(self) -> Self:
        await self._begun()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._abandon()

    def __del__(self) -> None:
        if self._started is not None:
            self._started[0].orphan(self._started[1])
