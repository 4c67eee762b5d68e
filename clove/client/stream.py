"""The blocking client's replies that come in pieces. Standard library only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from clove.client.call import StreamCall
from clove.client.channel import Channel
from clove.client.pieces import Pieces
from clove.client.waiters import Waiter
from clove.errors import ConnectionLost

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Stream"]

T = TypeVar("T")
S = TypeVar("S")


class Stream(Generic[T, S]):
    """Iterate over the pieces of a reply as they come.

    Leaving it early (`close`, `with`, or throwing it away) cancels the call.
    """

    def __init__(
        self,
        call: StreamCall[T, S],
        channel: Channel,
        waiter: Waiter[threading.Condition],
        deadline: float | None,
    ) -> None:
        self._pieces = Pieces(call)
        self._channel = channel
        self._waiter: Waiter[threading.Condition] | None = waiter
        self._deadline = deadline

    @property
    def result(self) -> T | None:
        """The whole reply, once the iteration is over."""
        return self._pieces.result

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> S:
        while True:
            for piece in self._pieces:
                return piece
            if self._waiter is None:
                raise StopIteration
            self._take(self._waiter)

    def _take(self, waiter: Waiter[threading.Condition]) -> None:
        try:
            self._pieces.add(*self._channel.take(waiter, self._deadline))
        except BaseException:
            self.close()
            raise
        if self._pieces.is_over:
            self._waiter = None

    def finish(self) -> T:
        """Take whatever is left and give the whole reply."""
        for _ in self:
            pass
        if self.result is None:
            raise ConnectionLost("this stream was closed before its end")
        return self.result

    def close(self) -> None:
        """Abandon the rest."""
        waiter, self._waiter = self._waiter, None
        self._pieces.abandon()
        if waiter is not None:
            self._channel.abandon(waiter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._waiter is not None:
            self._channel.orphan(self._waiter)
