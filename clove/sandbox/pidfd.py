"""A process that is no child of ours, held so that its pid cannot become another's."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

__all__ = ["ProcessHandle"]


@implementer(IReadDescriptor)
class ProcessHandle:
    """A pidfd (pidfd_open(2)), which becomes readable when the process ends.

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
