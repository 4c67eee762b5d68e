"""Pipes of a program that another process starts, on the reactor."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

from clove.sandbox.spec import SandboxSpec

__all__ = [
    "GRACE",
    "PIECE",
    "InputPipe",
    "OutputPipe",
    "OutputReader",
    "PipeEnd",
    "open_stdin",
    "opened_stdin",
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
        self._taker: Callable[[int, int], bool] | None = None
        self._left = 0
        self._turn: Any = None
        self._cut: Any = None
        os.set_blocking(descriptor, False)
        reactor.addReader(self)

    def capacity(self) -> int:
        """Bytes that can be written and not read, at most."""
        return fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)

    def doRead(self) -> None:
        """Read a piece, or have it taken."""
        if self._taker is None or not self._taker(self._fd, self._piece):
            self._read(self._piece)

    def divert(self, taker: Callable[[int, int], bool] | None) -> None:
        """Have something else take what is in the pipe, while the program runs.

        @param taker: gets the descriptor and bytes at most; where it says False, they are read as usual.
            None: it is over.
        """
        self._taker = taker

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
        elif self._held or self._stalled:
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
        self._reactor.removeReader(self)
        self._left = self.capacity()
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


class OutputPipe(OutputReader):
    """The reading end of a pipe.

    @ivar writer: the other end, to be handed over and closed by the caller.
    """

    def __init__(
        self, reactor: Any, received: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        reader, self.writer = os.pipe2(os.O_CLOEXEC)
        super().__init__(reactor, reader, received, closed)


@implementer(IWriteDescriptor)
class InputPipe(PipeEnd):
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


def open_stdin(reactor: IReactorFDSet, stdin: bytes | int) -> tuple[InputPipe | None, int]:
    """What a program is given as its standard input: the pipe to feed, if any, and the descriptor.

    @param stdin: what it reads, or a descriptor of it; without bytes it is /dev/null.
    @raise OSError: there is no room for it.
    """
    if isinstance(stdin, int):
        return None, os.dup(stdin)
    if not stdin:
        return None, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    pipe = InputPipe(reactor)
    return pipe, pipe.reader


@contextlib.contextmanager
def opened_stdin(reactor: IReactorFDSet, spec: SandboxSpec, stdin: bytes | int) -> Iterator[int]:
    """What a program of its own reads, open for as many attempts to start it as are needed.

    @param stdin: see L{open_stdin}; looked at where the spec has one.
    @return: the descriptor; -1 where the spec has none.
    @raise OSError: there is no room for it.
    """
    if not spec.stdin:
        yield -1
        return
    source, first = open_stdin(reactor, stdin)
    try:
        if os.geteuid() == 0 and spec.uid is not None:
            os.fchown(first, spec.uid, spec.uid)  # else it could not open /dev/stdin
        yield first
    except BaseException:
        if source is not None:
            source.close()
        raise
    finally:
        os.close(first)
    if source is not None and isinstance(stdin, bytes):
        source.feed(stdin)
