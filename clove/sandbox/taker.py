"""What may take a program's output out of its pipes, instead of it being read. Pure."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Taker"]


class Taker(Protocol):
    """Passes bytes on from pipe to pipe."""

    def pass_on(self, stream: int, source: int, most: int, /) -> bool:
        """Take what is in a pipe.

        @param stream: 1 or 2.
        @param source: the pipe's descriptor.
        @param most: bytes, at most.
        @return: False: it takes none; they are read as usual.
        """

    def release(self, stream: int, /) -> None:
        """Take nothing more of a stream before L{pass_on} is called again: its descriptor is to be
        read, or closed.
        """
