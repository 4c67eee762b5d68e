"""Types into a program's terminal what somebody writes to a pipe."""

from __future__ import annotations

import os
from typing import Any, Final

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from clove.sandbox.interface import ITerminal
from clove.sandbox.pipes import PIECE, PipeEnd

__all__ = ["Typist"]

_END: Final = b"\x04"
"""What the end of the pipe is typed as: ctrl-d, by which a terminal's reader has an end of its input."""


@implementer(IReadDescriptor)
class Typist(PipeEnd):
    """Reads no more than the terminal takes, and nothing once that is over.

    @param descriptor: the reading end of the pipe; this object's own from now on.
    """

    def __init__(self, reactor: Any, descriptor: int, terminal: ITerminal) -> None:
        super().__init__(reactor, lambda: None)
        self._fd = descriptor
        self._terminal = terminal
        os.set_blocking(descriptor, False)
        reactor.addReader(self)

    def follow(self, terminal: ITerminal) -> None:
        """Type into this one from now on: the program has been started again."""
        self._terminal = terminal
        if self._fd >= 0:
            self._reactor.addReader(self)

    def doRead(self) -> None:
        """Type a piece."""
        if self._terminal.over:
            self._reactor.removeReader(self)
            return
        try:
            data = os.read(self._fd, PIECE)
        except BlockingIOError:
            return
        if not data:
            self._finish()
            return
        terminal = self._terminal
        terminal.type(data)
        if terminal.waiting and self._fd >= 0:
            self._reactor.removeReader(self)
            terminal.when_typed().addCallback(self._go_on)

    def connectionLost(self, reason: object) -> None:
        """The reactor says that nothing writes to the pipe any more, and nothing is in it."""
        if self._fd >= 0:
            self._finish()

    def _finish(self) -> None:
        """Type the end."""
        self.close()
        self._terminal.type(_END)

    def _go_on(self, _: None) -> None:
        if self._fd >= 0:
            self._reactor.addReader(self)
