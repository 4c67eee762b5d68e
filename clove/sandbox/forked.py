"""A child of the zygote, as if it were the kernel's own: its output and its end.

Such a process is held by a pidfd (pidfd_open(2)), so that its pid cannot become another's.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from clove.sandbox.channel import socket_pair
from clove.sandbox.outputs import Outputs

__all__ = ["ForkedProcess", "ProcessHandle"]


@implementer(IReadDescriptor)
class ProcessHandle:
    """A process that is no child of ours. Its pidfd becomes readable when it ends.

    @param pidfd: is this object's own from now on.
    @param gone: called once when it has ended.
    """

    def __init__(self, reactor: Any, pidfd: int, gone: Callable[[], None]) -> None:
        self._reactor = reactor
        self._fd = pidfd
        self._gone = gone
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._fd

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "sandbox process"

    def kill(self) -> None:
        """SIGKILL. Harmless when it is over."""
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def doRead(self) -> None:
        """It has ended."""
        with contextlib.suppress(ChildProcessError):  # nearly always another process's child
            os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        self.close()
        self._gone()

    def close(self) -> None:
        """Watch it no longer."""
        if self._fd >= 0:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd = -1

    def connectionLost(self, reason: object) -> None:
        """The reactor says that the descriptor is of no use."""
        if self._fd >= 0:
            self.doRead()


class ForkedProcess:
    """What a process transport is for the kernel's own children.

    It is made before it is known what will run in it; see L{adopt}.

    @ivar outputs: its stdout and stderr.
    @ivar ended: it is gone, or will never be.
    @ivar abandoned: nothing waits for it.
    @ivar control: the kernel's end of its control socket, to be taken over.
    @ivar inner_ends: control socket, stdout and stderr for the child; see
        L{close_inner_ends}.
    @raise OSError: there is no room for its pipes.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._streams: ProcessProtocol | None = None
        self._handle: ProcessHandle | None = None
        self._killed = False
        self.ended = self.abandoned = False
        self._told = False
        self.outputs = Outputs(reactor, self._received, self._closed)
        try:
            self.control, self._theirs = socket_pair()
        except OSError:
            self.outputs.discard()
            raise
        self.inner_ends = (self._theirs.fileno(), *self.outputs.writers)

    def close_inner_ends(self) -> None:
        """The zygote has its own copies."""
        self._theirs.close()
        self.outputs.close_writers()

    def adopt(self, streams: ProcessProtocol) -> None:
        """Report output, and the end once both streams are read."""
        self._streams = streams
        self._closed()

    def abandon(self) -> None:
        """It is not needed: without a control socket it ends by itself."""
        self.abandoned = True
        self.control.close()

    def forked(self, pidfd: int) -> None:
        """The zygote has made it; the descriptor is this object's own from now on."""
        self._handle = ProcessHandle(self._reactor, pidfd, self.lost)
        if self._killed:
            self._handle.kill()

    def lost(self) -> None:
        """It has ended, or will never be. Idempotent."""
        self.ended = True
        self.outputs.finish()
        self._closed()

    def _received(self, number: int, data: bytes) -> None:
        if self._streams is not None:
            self._streams.childDataReceived(number, data)

    def _closed(self) -> None:
        over = self.ended and self.outputs.over
        if over and self._streams is not None and not self._told:
            self._told = True
            self._streams.processEnded(Failure(EOFError("ended")))

    def signalProcess(self, number: int) -> None:
        """Kill it; nothing else is ever asked for."""
        if number == signal.SIGKILL:
            self._killed = True
            if self._handle is not None:
                self._handle.kill()
