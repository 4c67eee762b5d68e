"""A child of the kernel's own process, which is over when its process is."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.process import ProcessReader
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from clove.sandbox.outputs import Outputs

__all__ = ["SpawnedProcess", "cut_pipes"]


def cut_pipes(transport: Any) -> None:
    """Close Twisted's own pipes of a process that has been reaped, whatever process has their other ends.

    @param transport: the process's; what waits in its output is read first.
    """
    for pipe in list(transport.pipes.values()):
        if isinstance(pipe, ProcessReader):
            left = fcntl.fcntl(pipe.fileno(), fcntl.F_GETPIPE_SZ)
            with contextlib.suppress(OSError):
                while left > 0 and (data := os.read(pipe.fileno(), left)):
                    left -= len(data)
                    pipe.dataReceived(data)
        pipe.connectionLost(Failure(ConnectionDone()))


class SpawnedProcess(ProcessProtocol):
    """Starts a program, and reads what it says.

    Its stdout and stderr may have been handed on: to a process that has escaped, or
    into a socket, where they stay open for ever. So they are read to what they hold when
    the process has been reaped, and cut. (Twisted's own pipes wait for their other ends.)

    @ivar pid: the process's id.
    @ivar outputs: its stdout and stderr.
    """

    def __init__(
        self,
        reactor: Any,
        streams: ProcessProtocol,
        argv: Sequence[str],
        env: Mapping[str, str],
        descriptors: Mapping[int, int | str],
    ) -> None:
        """Start it.

        @param streams: is told of its output, and of its end.
        @param descriptors: others than 1 and 2, as spawnProcess takes them.
        @raise OSError: no process can be made.
        """
        self._reactor = reactor
        self._streams = streams
        self._reason: Failure | None = None
        self._told = False
        self.outputs = Outputs(reactor, streams.childDataReceived, self._closed)
        out, err = self.outputs.writers
        try:
            self._process = reactor.spawnProcess(
                self, argv[0], argv, env=env, childFDs={**descriptors, 1: out, 2: err}
            )
        except BaseException:
            self._streams = ProcessProtocol()
            self.outputs.close()
            raise
        finally:
            self.outputs.close_writers()
        self.pid: int = self._process.pid
        streams.makeConnection(self._process)

    def processExited(self, reason: Failure) -> None:
        """It is reaped. What it had to read, others may hold open, too."""
        cut_pipes(self.transport)

    def processEnded(self, reason: Failure) -> None:
        """Nothing of it is left; Twisted may say so before it has given the process back."""
        self._reactor.callLater(0, self._reaped, reason)

    def _reaped(self, reason: Failure) -> None:
        self._reason = reason
        self.outputs.finish()
        self._closed()

    def _closed(self) -> None:
        if self._reason is not None and self.outputs.over and not self._told:
            self._told = True
            self._streams.processEnded(self._reason)

    def signalProcess(self, number: int | str) -> None:
        """Send it a signal.

        @raise ProcessExitedAlready: it is reaped.
        """
        self._process.signalProcess(number)
