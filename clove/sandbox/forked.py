"""A child of the nursery, as if it were the kernel's own: its output and its end."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from clove.sandbox.pidfd import ProcessHandle
from clove.sandbox.pipes import OutputPipe

__all__ = ["ForkedProcess"]


class ForkedProcess:
    """What a process transport is for the kernel's own children.

    @param streams: is told of output, and of the end once both streams are read.
    @ivar inner_ends: stdout and stderr for the child, to be closed by the caller.
    """

    def __init__(self, reactor: Any, streams: ProcessProtocol) -> None:
        self._reactor = reactor
        self._streams = streams
        self._handle: ProcessHandle | None = None
        self._killed = False
        self._ended = False
        self._told = False
        self._pipes = (
            OutputPipe(reactor, streams.outReceived, self._closed),
            OutputPipe(reactor, streams.errReceived, self._closed),
        )
        self.inner_ends = tuple(pipe.writer for pipe in self._pipes)

    def born(self, pidfd: int) -> None:
        """The nursery has made it; the descriptor is this object's own from now on."""
        self._handle = ProcessHandle(self._reactor, pidfd, self.lost)
        if self._killed:
            self._handle.kill()

    def lost(self) -> None:
        """It has ended, or will never be. Idempotent."""
        self._ended = True
        for pipe in self._pipes:
            pipe.finish()
        self._closed()

    def _closed(self) -> None:
        if self._ended and not self._told and all(pipe.fileno() < 0 for pipe in self._pipes):
            self._told = True
            self._streams.processEnded(Failure(EOFError("ended")))

    def signalProcess(self, number: int) -> None:
        """Kill it; nothing else is ever asked for."""
        if number == signal.SIGKILL:
            self._killed = True
            if self._handle is not None:
                self._handle.kill()

    def pauseProducing(self) -> None:
        """Stop reading its output."""
        self._hold(True)

    def resumeProducing(self) -> None:
        """Read on."""
        self._hold(False)

    def _hold(self, hold: bool) -> None:
        for pipe in self._pipes:
            pipe.hold(hold)
            if not hold and self._ended:
                pipe.finish()

    def close_inner_ends(self) -> None:
        """The nursery has its own copies."""
        for descriptor in self.inner_ends:
            os.close(descriptor)
