"""Streams of agents and commands that the blocking client has by descriptors. Standard library only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from clove.client.stream import Stream
from clove.errors import ConnectionLost

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from clove.client.descriptors import SocketReader

__all__ = ["Attached"]

R = TypeVar("R")


class Attached(Generic[R]):
    """Streams as pipes; closing it ends the attachment, and kills a command.

    @ivar first: what the kernel said when it began.
    @ivar offset: of the first byte that the pipes get.
    @ivar descriptors: by the names of the streams: `stdout` and `stderr` to be read to their ends,
        which come when the agent has ended for good, or the command; `stdin` to be written, where it is a stream.
    """

    def __init__(self, stream: Stream[R, R], reader: SocketReader) -> None:
        """@raise ConnectionLost: the kernel sent none."""
        self._stream = stream
        self.first: R = next(stream)
        first: Any = self.first
        names = first["descriptors"]
        taken = reader.take(len(names))
        self.offset = int(first.get("offset", 0))
        self.descriptors = dict(zip(names, taken, strict=False))
        for descriptor in taken:
            os.set_blocking(descriptor, True)
        if len(taken) < len(names):
            self.close()
            raise ConnectionLost("the descriptors did not arrive")

    def close_stream(self, name: str) -> None:
        """Close one of them here. Idempotent."""
        descriptor = self.descriptors.pop(name, -1)
        if descriptor >= 0:
            os.close(descriptor)

    def finish(self) -> R:
        """Wait for its end, and give what the kernel says of that. The descriptors stay open."""
        return self._stream.finish()

    def close(self) -> None:
        """Close all, and attach no more. Idempotent."""
        for name in list(self.descriptors):
            self.close_stream(name)
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
