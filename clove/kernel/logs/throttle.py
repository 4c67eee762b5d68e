"""What keeps an agent's output from being read for now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clove.sandbox.reading_time import ReadingTime
    from clove.sandbox.taker import Taker

__all__ = ["Source", "Throttle"]


class Source(Protocol):
    """What the output comes from: the pipes of an agent's process."""

    def hold(self, hold: bool, /) -> None:
        """Stop reading all of it for now, or go on."""

    def stall(self, stream: int, stall: bool, /) -> None:
        """Stop reading a stream for its reader, or go on; at the process's end the rest is read."""

    def widen(self) -> None:
        """Take more at once."""

    def read_in(self, time: ReadingTime, /) -> None:
        """Read in a family's time."""

    def divert(self, taker: Taker | None, /) -> None:
        """Have something else take what is in its pipes, as far as that says that it can."""


class Throttle:
    """Tells the source what is to wait; the next one, after a restart, is told again.

    @param time: in which it is read; None: in any.
    """

    def __init__(self, time: ReadingTime | None = None) -> None:
        self._time = time
        self._source: Source | None = None
        self._held = False
        self._stalled: set[int] = set()
        self._wide = False
        self._taker: Taker | None = None

    def follow(self, source: Source | None) -> None:
        """The output comes from here from now on."""
        self._source = source
        if source is None:
            return
        if self._time is not None:
            source.read_in(self._time)
        if self._held:
            source.hold(True)
        for stream in self._stalled:
            source.stall(stream, True)
        if self._wide:
            source.widen()
        if self._taker is not None:
            source.divert(self._taker)

    def widen(self) -> None:
        """Have more taken at once, of this source and of later ones."""
        self._wide = True
        if self._source is not None:
            self._source.widen()

    def divert(self, taker: Taker | None) -> None:
        """Have this take what is in the pipes, of this source and of later ones; None: no more."""
        self._taker = taker
        if self._source is not None:
            self._source.divert(taker)

    def hold(self, hold: bool) -> None:
        """All of it waits for the disk, or does no more."""
        self._held = hold
        if self._source is not None:
            self._source.hold(hold)

    def stall(self, stream: int, stall: bool) -> None:
        """A stream waits for the one who is attached, or does no more."""
        if stall == (stream in self._stalled):
            return
        if stall:
            self._stalled.add(stream)
        else:
            self._stalled.discard(stream)
        if self._source is not None:
            self._source.stall(stream, stall)
