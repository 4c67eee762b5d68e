"""What a program writes, to two pipes or a terminal, and who is told of it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from clove.errors import Unavailable
from clove.sandbox.interface import Output
from clove.sandbox.pipes import OutputPipe, OutputReader
from clove.sandbox.reading_time import ReadingTime
from clove.sandbox.taker import Taker
from clove.sandbox.terminal import Terminal

__all__ = ["EARLY", "Outputs", "Streams"]

EARLY: Final = 128 << 10
"""Bytes of output that are read before the sandbox is ready, and a piece."""


class Outputs:
    """Stdout and stderr of a program that another process starts.

    @param received: takes 1 for stdout or 2 for stderr, and bytes.
    @param closed: called when no more will come of one of them.
    @ivar writers: the other ends, to be handed over.
    @ivar terminal: what the program has instead of stdout and stderr, if it runs on one.
    @raise OSError: there is no room for both; none is left.
    """

    def __init__(
        self, reactor: Any, received: Callable[[int, bytes], None], closed: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._received = received
        self._closed = closed
        self._held = self._finished = False
        self._time: ReadingTime | None = None
        self.terminal: Terminal | None = None
        stdout = OutputPipe(reactor, lambda data: received(1, data), closed)
        try:
            stderr = OutputPipe(reactor, lambda data: received(2, data), closed)
        except OSError:
            os.close(stdout.writer)
            stdout.close()
            raise
        self._pipes: tuple[OutputReader, OutputReader] = (stdout, stderr)
        self.writers = (stdout.writer, stderr.writer)

    @property
    def over(self) -> bool:
        """No more will come."""
        return all(pipe.fileno() < 0 for pipe in self._pipes)

    def close_writers(self) -> None:
        """The program has its own."""
        for descriptor in self.writers:
            os.close(descriptor)

    def give_to(self, uid: int | None) -> None:
        """Let the program's user open them by their names, /dev/stdout and /dev/stderr.

        @param uid: None: it is the kernel's own.
        """
        if uid is None or os.geteuid() != 0:
            return
        for pipe in self._pipes:
            if pipe.fileno() >= 0:
                os.fchown(pipe.fileno(), uid, uid)  # that of both ends

    def put_on_terminal(self, descriptor: int, close_descriptor: Callable[[int], None]) -> None:
        """The program runs on a terminal: what it writes there is its stdout.

        @param descriptor: the outer end, from the sandbox's init; it is this object's own now.
        @param close_descriptor: closes it.
        @raise Unavailable: it is no terminal's, or there is one already.
        """
        if self.terminal is not None:
            close_descriptor(descriptor)
            raise Unavailable("the sandbox has sent more than one terminal")
        stdout, stderr = self._pipes
        self.terminal = Terminal(
            self._reactor,
            descriptor,
            functools.partial(self._received, 1),
            self._closed,
            close_descriptor,
        )
        self._pipes = (self.terminal, stderr)
        if self._time is not None:
            self.terminal.read_in(self._time)
        self.terminal.hold(self._held)
        stdout.close()
        if self._finished:
            self.terminal.finish()

    def hold(self, hold: bool) -> None:
        """Stop reading, or go on."""
        self._held = hold
        for pipe in self._pipes:
            pipe.hold(hold)

    def stall(self, stream: int, stall: bool) -> None:
        """Stop reading one of them, or go on. @see: L{OutputReader.stall}."""
        self._pipes[stream - 1].stall(stall)

    def widen(self) -> None:
        """Take more at once. @see: L{OutputReader.widen}."""
        for pipe in self._pipes:
            pipe.widen()

    def divert(self, taker: Taker | None) -> None:
        """Have something else take what is in the pipes. @see: L{OutputReader.divert}."""
        for stream, pipe in enumerate(self._pipes, 1):
            pipe.divert(taker, stream)

    def read_in(self, time: ReadingTime) -> None:
        """Read in a family's time from now on."""
        self._time = time
        for pipe in self._pipes:
            pipe.read_in(time)

    def close_stream(self, stream: int) -> None:
        """Read no more of one of them."""
        self._pipes[stream - 1].close()

    def finish(self) -> None:
        """The program has ended. @see: L{OutputReader.finish}."""
        self._finished = True
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


class Streams(ProcessProtocol):
    """The helper as the reactor's child: the main program's output, and its end.

    @param stall: called with True when no more output should be read before the sandbox is ready: what
        takes it cannot slow it down until then.
    """

    def __init__(
        self, output: Output, ended: Callable[[], None], stall: Callable[[bool], None]
    ) -> None:
        self._output = output
        self._ended = ended
        self._stall = stall
        self._room: int | None = EARLY

    def outReceived(self, data: bytes) -> None:
        """Some of stdout."""
        self._receive(1, data)

    def errReceived(self, data: bytes) -> None:
        """Some of stderr."""
        self._receive(2, data)

    def _receive(self, stream: int, data: bytes) -> None:
        if self._room is not None:
            self._room -= len(data)
            if self._room <= 0:
                self._stall(True)
        self._output(stream, data)

    def follow(self) -> None:
        """The sandbox is ready: read all. Idempotent."""
        if self._room is not None and self._room <= 0:
            self._stall(False)
        self._room = None

    def processEnded(self, reason: Failure) -> None:
        """The helper is reaped, and its output read."""
        self._ended()
