"""The pieces of one reply, as its frames come, without any I/O. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from clove.client.call import StreamCall

__all__ = ["Pieces"]

T = TypeVar("T")
S = TypeVar("S")


class Pieces(Generic[T, S]):
    """Iterates over what came and was not taken; goes on when there is more.

    @ivar is_over: the last frame came, or the rest is not wanted.
    @ivar result: the whole reply, once the last frame came.
    """

    __slots__ = ("_call", "_partial", "_ready", "is_over", "result")

    def __init__(self, call: StreamCall[T, S]) -> None:
        self.is_over = False
        self.result: T | None = None
        self._call = call
        self._ready: Iterator[S] = iter(())
        self._partial = False

    def __iter__(self) -> Iterator[S]:
        return self

    def __next__(self) -> S:
        return next(self._ready)

    def add(self, payload: bytes, more: bool) -> None:
        """Take in a frame, once all before it are taken.

        @raise CloveError: what the kernel answered.
        """
        call = self._call
        reply = call.decoded(payload)
        if more:
            self._partial = True
            self._ready = iter(call.pieces(reply))
            return
        self.is_over = True
        self.result = call.pick(reply)
        self._ready = iter(()) if self._partial else iter(call.rest(reply))

    def abandon(self) -> None:
        """Give no further pieces."""
        self.is_over = True
        self._ready = iter(())
