"""Pipes of a program that another process starts, on the reactor."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from clove.sandbox.reading_time import ReadingTime
from clove.sandbox.taker import Taker

__all__ = [
    "GRACE",
    "PIECE",
    "OutputPipe",
    "OutputReader",
    "PipeEnd",
]

PIECE: Final = 1 << 16
"""Bytes read or written in one turn of the reactor."""
WIDE: Final = 1 << 18
"""The same of a pipe that was widened, which has room for so many, if Linux allows it."""
GRACE: Final = 5.0
"""Seconds for which the rest of an ended program's output is kept to be read; then it is dropped."""


class PipeEnd:
    """One end that the reactor watches; another process has the other one."""

    def __init__(self, reactor: Any, closed: Callable[[], None]) -> None:
        self._reactor = reactor
        self._closed = closed
        self._fd = -1

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._fd

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "sandbox pipe"

    def connectionLost(self, reason: object) -> None:
        """The reactor says that the descriptor is of no use."""
        self.close()

    def close(self) -> None:
        """Close the watched end. Idempotent."""
        if self._fd < 0:
            return
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        descriptor, self._fd = self._fd, -1
        self._release(descriptor)
        self._closed()

    def _release(self, descriptor: int) -> None:
        os.close(descriptor)


@implementer(IReadDescriptor)
class OutputReader(PipeEnd):
    """What a program writes to one of its streams.

    @param received: takes the bytes.
    @param closed: called once when no more will come.
    """

    def __init__(
        self,
        reactor: Any,
        descriptor: int,
        received: Callable[[bytes], None],
        closed: Callable[[], None],
    ) -> None:
        super().__init__(reactor, closed)
        self._fd = descriptor
        self._received = received
        self._held = False
        self._stalled = False
        self._piece = PIECE
        self._taker: Taker | None = None
        self._stream = 0
        self._time: ReadingTime | None = None
        self._unwait: Callable[[], None] | None = None
        self._left = 0
        self._turn: Any = None
        self._cut: Any = None
        os.set_blocking(descriptor, False)
        reactor.addReader(self)

    def capacity(self) -> int:
        """Bytes that can be written and not read, at most."""
        return fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)

    def read_in(self, time: ReadingTime) -> None:
        """Read in a family's time from now on; what a program has left, at once."""
        self._time = time

    def doRead(self) -> None:
        """Read a piece, or wait for the family's turn."""
        if self._time is None:
            self._take_piece()
            return
        self._unwait = self._time.serve(self._take_piece, self._take_turn)
        if self._unwait is not None:
            self._reactor.removeReader(self)

    def _take_turn(self) -> None:
        self._unwait = None
        if not (self._held or self._stalled):
            self._take_piece()
        self._follow()

    def _take_piece(self) -> None:
        """Read it, or have it taken."""
        if self._taker is None or not self._taker.pass_on(self._stream, self._fd, self._piece):
            self._read(self._piece)

    def divert(self, taker: Taker | None, stream: int = 1) -> None:
        """Have something else take what is in the pipe, while the program runs.

        @param taker: None: it is over.
        @param stream: what it is to the taker.
        """
        self._take_back()
        self._taker, self._stream = taker, stream

    def _take_back(self) -> None:
        """The pipe is this object's alone."""
        if self._taker is not None:
            self._taker.release(self._stream)

    def _read(self, most: int) -> int:
        """Read at most so much; the number of bytes, 0 when there is nothing."""
        try:
            data = os.read(self._fd, most)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if data:
            self._received(data)
        else:
            self.ended()
        return len(data)

    def ended(self) -> None:
        """Nobody has the other end."""
        self.close()

    def hold(self, hold: bool) -> None:
        """Stop reading, or go on."""
        if hold:
            self._take_back()
        self._held = hold
        self._follow()

    def stall(self, stall: bool) -> None:
        """Likewise, but for the reader of the output: it may have what is left at the end at once."""
        self._stalled = stall
        self._follow()

    def widen(self) -> None:
        """Take more at once, with fewer turns: something is waiting for all of it."""
        if self._fd >= 0:
            self._piece = WIDE
            with contextlib.suppress(OSError):  # EPERM: the user has enough (pipe(7))
                fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, WIDE)

    def _follow(self) -> None:
        """Read, or do not, as was said last."""
        if self._fd < 0:
            return
        if self._cut is not None:
            if not self._held and self._turn is None:
                self._drain()
        elif self._held or self._stalled or self._unwait is not None:
            self._reactor.removeReader(self)
        else:
            self._reactor.addReader(self)

    def finish(self) -> None:
        """The program has ended: read what it left in the pipe, no more, then close. Idempotent.

        Others may still hold the other end, and write on; so it stops at its
        capacity. While reading is held it waits, but no longer than L{GRACE}.
        """
        if self._fd < 0 or self._cut is not None:
            return
        self._take_back()
        self._reactor.removeReader(self)
        self._stop_waiting()
        self._left = self.capacity()
        self._cut = self._reactor.callLater(GRACE, self.close)
        if not self._held:
            self._drain()

    def _drain(self) -> None:
        """Read a piece of what is left; the next one when others have had their turn."""
        self._turn = None
        if self._fd < 0 or self._held:
            return
        before = self._left
        if self._time is None:
            self._drain_piece()
        else:
            self._time.charge(self._drain_piece)
        if self._left == before or self._left <= 0:
            self.close()
        elif self._fd >= 0 and not self._held:
            self._turn = self._reactor.callLater(0, self._drain)

    def _drain_piece(self) -> None:
        self._left -= self._read(min(self._left, PIECE))

    def _stop_waiting(self) -> None:
        if self._unwait is not None:
            self._unwait()
            self._unwait = None

    def close(self) -> None:
        """Close the watched end. Idempotent."""
        self._take_back()
        self._stop_waiting()
        for call in (self._cut, self._turn):
            if call is not None and call.active():
                call.cancel()
        self._turn = None
        super().close()


class OutputPipe(OutputReader):
    """The reading end of a pipe.

    @ivar writer: the other end, to be handed over and closed by the caller.
    """

    def __init__(
        self, reactor: Any, received: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        reader, self.writer = os.pipe2(os.O_CLOEXEC)
        super().__init__(reactor, reader, received, closed)
