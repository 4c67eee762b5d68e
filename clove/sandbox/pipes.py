"""Pipes of a program that somebody else starts, on the reactor."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

from twisted.internet import fdesc
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorFDSet
from twisted.python.failure import Failure

__all__ = ["InputPipe", "OutputPipe"]

PIECE = 1 << 16
"""Bytes read in one turn."""


class OutputPipe(FileDescriptor):
    """The reading end of a program's stdout or stderr.

    @ivar writer: the other end, to be handed over and closed by the caller.
    """

    def __init__(
        self, reactor: IReactorFDSet, received: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        super().__init__(reactor)
        self._received = received
        self._closed = closed
        self._fd, self.writer = os.pipe2(os.O_CLOEXEC)
        fdesc.setNonBlocking(self._fd)
        self.connected = 1
        self._left: int | None = None
        self.startReading()

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._fd

    def doRead(self) -> Exception | None:
        """Read a piece."""
        size = PIECE if self._left is None else min(PIECE, self._left)
        try:
            data = os.read(self._fd, size) if size else b""
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                return ConnectionLost(str(error))
            if self._left is None:
                return None
            data = b""
        if not data:
            return ConnectionDone()
        if self._left is not None:
            self._left -= len(data)
        self._received(data)
        return None

    def finish(self) -> None:
        """The program has ended: read what it left in the pipe, no more, then close.

        Others may still hold the writing end and write on, so it stops at what
        the pipe can hold.
        """
        if self._fd < 0:
            return
        self._left = fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)
        while self._fd >= 0 and self in self.reactor.getReaders():
            reason = self.doRead()
            if reason is not None:
                self.connectionLost(Failure(reason))

    def resumeProducing(self) -> None:
        """Read on."""
        if self._fd >= 0:
            self.startReading()

    def connectionLost(self, reason: Failure) -> None:
        """End of the output."""
        if self._fd < 0:
            return
        super().connectionLost(reason)
        self.stopReading()
        os.close(self._fd)
        self._fd = -1
        self._closed()


class InputPipe(FileDescriptor):
    """The writing end of a program's stdin.

    @ivar reader: the other end, to be handed over and closed by the caller.
    """

    def __init__(self, reactor: IReactorFDSet) -> None:
        super().__init__(reactor)
        self.reader, self._fd = os.pipe2(os.O_CLOEXEC)
        fdesc.setNonBlocking(self._fd)
        self.connected = 1

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._fd

    def feed(self, data: bytes) -> None:
        """Write all of it, then close. A program that does not read it is no error."""
        if data:
            self.write(data)
        self.loseConnection()

    def writeSomeData(self, data: bytes) -> int | Exception:
        """Write what the pipe takes."""
        return fdesc.writeToFD(self._fd, data)  # type: ignore[no-any-return]

    def connectionLost(self, reason: Failure) -> None:
        """All is written, or nobody reads."""
        if self._fd < 0:
            return
        super().connectionLost(reason)
        self.stopWriting()
        os.close(self._fd)
        self._fd = -1
