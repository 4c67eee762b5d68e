"""What the reactor tells of a sandbox's helper: the main program's output, and the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from clove.sandbox.interface import Output

__all__ = ["EARLY", "Streams"]

EARLY: Final = 128 << 10
"""Bytes of output that are read before the sandbox is ready, and a piece."""


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
