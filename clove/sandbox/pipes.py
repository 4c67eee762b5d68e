"""Pipes of a program that another process starts, on the reactor."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

__all__ = ["InputPipe", "OutputPipe", "Outputs"]

PIECE: Final = 1 << 16
"""Bytes read or written in one turn of the reactor."""
GRACE: Final = 5.0
"""Seconds for which the rest of an ended program's output is kept to be read; then it is dropped."""


class _Pipe:
    """One end that the reactor watches, one end to hand over."""

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
        os.close(self._fd)
        self._fd = -1
        self._closed()


@implementer(IReadDescriptor)
class OutputPipe(_Pipe):
    """The reading end of a program's stdout or stderr.

    @param received: takes the bytes.
    @param closed: called once when no more will come.
    @ivar writer: the other end, to be handed over and closed by the caller.
    """

    def __init__(
        self, reactor: Any, received: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        super().__init__(reactor, closed)
        self._received = received
        self._held = False
        self._stalled = False
        self._left = 0
        self._turn: Any = None
        self._cut: Any = None
        self._fd, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        reactor.addReader(self)

    def doRead(self) -> None:
        """Read a piece."""
        self._read(PIECE)

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
            self.close()
        return len(data)

    def hold(self, hold: bool) -> None:
        """Stop reading, or go on."""
        self._held = hold
        self._follow()

    def stall(self, stall: bool) -> None:
        """Likewise, but for the reader of the output: it may have what is left at the end at once."""
        self._stalled = stall
        self._follow()

    def _follow(self) -> None:
        """Read, or do not, as was said last."""
        if self._fd < 0:
            return
        if self._cut is not None:
            if not self._held and self._turn is None:
                self._drain()
        elif self._held or self._stalled:
            self._reactor.removeReader(self)
        else:
            self._reactor.addReader(self)

    def finish(self) -> None:
        """The program has ended: read what it left in the pipe, no more, then close. Idempotent.

        Others may still hold the other end, and write on; so it stops at what
        the pipe can hold. While reading is held it waits, but no longer than L{GRACE}.
        """
        if self._fd < 0 or self._cut is not None:
            return
        self._reactor.removeReader(self)
        self._left = fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)
        self._cut = self._reactor.callLater(GRACE, self.close)
        if not self._held:
            self._drain()

    def _drain(self) -> None:
        """Read a piece of what is left; the next one when others have had their turn."""
        self._turn = None
        if self._fd < 0 or self._held:
            return
        got = self._read(min(self._left, PIECE))
        self._left -= got
        if not got or self._left <= 0:
            self.close()
        elif self._fd >= 0 and not self._held:
            self._turn = self._reactor.callLater(0, self._drain)

    def close(self) -> None:
        """Close the watched end. Idempotent."""
        for call in (self._cut, self._turn):
            if call is not None and call.active():
                call.cancel()
        self._turn = None
        super().close()


class Outputs:
    """Stdout and stderr of a program that another process starts.

    @param received: takes 1 for stdout or 2 for stderr, and bytes.
    @param closed: called when no more will come of one of them.
    @ivar writers: the other ends, to be handed over.
    @raise OSError: there is no room for both; none is left.
    """

    def __init__(
        self, reactor: Any, received: Callable[[int, bytes], None], closed: Callable[[], None]
    ) -> None:
        stdout = OutputPipe(reactor, lambda data: received(1, data), closed)
        try:
            stderr = OutputPipe(reactor, lambda data: received(2, data), closed)
        except OSError:
            os.close(stdout.writer)
            stdout.close()
            raise
        self._pipes = (stdout, stderr)
        self.writers = tuple(pipe.writer for pipe in self._pipes)

    @property
    def over(self) -> bool:
        """No more will come."""
        return all(pipe.fileno() < 0 for pipe in self._pipes)

    def close_writers(self) -> None:
        """The program has its own."""
        for descriptor in self.writers:
            os.close(descriptor)

    def hold(self, hold: bool) -> None:
        """Stop reading, or go on."""
        for pipe in self._pipes:
            pipe.hold(hold)

    def stall(self, stream: int, stall: bool) -> None:
        """Stop reading one of them, or go on. @see: L{OutputPipe.stall}."""
        self._pipes[stream - 1].stall(stall)

    def close_stream(self, stream: int) -> None:
        """Read no more of one of them."""
        self._pipes[stream - 1].close()

    def finish(self) -> None:
        """The program has ended. @see: L{OutputPipe.finish}."""
        for pipe in self._pipes:
            pipe.finish()

    def close(self) -> None:
        """Read no more of it."""
        for pipe in self._pipes:
            pipe.close()

    def discard(self) -> None:
        """Close all: the other ends were never passed on."""
        self.close_writers()
        self.close()


@implementer(IWriteDescriptor)
class InputPipe(_Pipe):
    """The writing end of a program's stdin.

    @ivar reader: the other end, to be handed over and closed by the caller.
    """

    def __init__(self, reactor: IReactorFDSet) -> None:
        super().__init__(reactor, lambda: None)
        self.reader, self._fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        self._left = memoryview(b"")

    def feed(self, data: bytes) -> None:
        """Write all of it, then close. A program that does not read it is no error."""
        self._left = memoryview(data)
        self.doWrite()

    def doWrite(self) -> None:
        """Write what the pipe takes."""
        if self._fd < 0:
            return
        try:
            while self._left:
                self._left = self._left[os.write(self._fd, self._left[:PIECE]) :]
        except BlockingIOError:
            self._reactor.addWriter(self)
            return
        except OSError:  # its reader is gone
            pass
        self.close()
