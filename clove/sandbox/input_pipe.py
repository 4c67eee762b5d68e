"""What a program reads, on the reactor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from twisted.internet.interfaces import IReactorFDSet, IWriteDescriptor
from zope.interface import implementer

from clove.sandbox.pipes import PIECE, PipeEnd
from clove.sandbox.spec import SandboxSpec

__all__ = ["InputPipe", "open_stdin", "opened_stdin"]


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

    @param spec: one that says that there is such a thing.
    @param stdin: see L{open_stdin}.
    @return: the descriptor.
    @raise OSError: there is no room for it.
    """
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
