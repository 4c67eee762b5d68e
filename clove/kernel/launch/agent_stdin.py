"""The standard input of an agent that has a stream for it (`docs/output.md`).

One pipe lasts over all starts of the agent: what one process has not read, the next one does.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from clove.errors import Unavailable
from clove.kernel.queued_writer import QueuedWriter
from clove.sandbox.interface import ITerminal
from clove.sandbox.typist import Typist

if TYPE_CHECKING:
    from clove.messages.agents import SpawnRequest

__all__ = ["AgentStdin", "open_stream"]

_UNREAD: Final = "nothing reads its standard input any more"
_CLOSED: Final = "its standard input is closed"


class AgentStdin:
    """The pipe.

    @ivar reader: the end that each start of the agent gets a copy of; -1 when closed.
    @param on_terminal: it is typed: one who is attached has it beside others, and not for good.
    @raise OSError: there is no room for it.
    """

    def __init__(self, reactor: Any, *, on_terminal: bool = False) -> None:
        self._reactor = reactor
        self._on_terminal = on_terminal
        self._typist: Typist | None = None
        self.reader, writer = os.pipe2(os.O_CLOEXEC)
        self._writer = QueuedWriter(reactor, writer, "agent's standard input", _UNREAD)

    def fileno(self) -> int:
        """The end that is written; -1 when closed."""
        return self._writer.fileno()

    def write(self, data: bytes) -> Deferred[None]:
        """Write bytes after those that wait; fires when the pipe has taken them.

        Cancelled, those that it has not taken are dropped.

        @raise Unavailable: nothing can be written (any more), or nothing reads it.
        """
        return self._writer.write(data)

    def type_into(self, terminal: ITerminal) -> None:
        """The agent reads a terminal: what is written here is typed there."""
        if self._typist is not None:
            self._typist.follow(terminal)
            return
        with contextlib.suppress(OSError):  # no descriptors: then nothing can be typed
            self._typist = Typist(self._reactor, os.dup(self.reader), terminal)

    def copy_writer(self) -> int:
        """The writing end for one who is attached, to be closed by the caller; see L{hand_over}.

        Where the kernel goes on writing it is opened anew, not copied: O_NONBLOCK belongs to the
        open file description, and one who cleared it would have the kernel's own writes block.

        @raise Unavailable: it is closed.
        @raise OSError: there are no descriptors left.
        """
        self._writer.check_open()
        if not self._on_terminal:
            return os.dup(self.fileno())
        return os.open(f"/proc/self/fd/{self.fileno()}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def hand_over(self) -> None:
        """The one who is attached has the writing end; of a pipe alone from now on."""
        if not self._on_terminal:
            self._writer.end("the one who is attached writes its standard input")

    def end_input(self) -> None:
        """The agent reads what was written, and then the end. Idempotent."""
        self._writer.end(_CLOSED)

    def close(self) -> None:
        """The agent is gone. Idempotent."""
        if self._typist is not None:
            self._typist.close()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
        self._writer.end("the agent has ended")


def open_stream(reactor: Any, request: SpawnRequest) -> AgentStdin:
    """What an agent reads whose request asks for a stream.

    @raise Unavailable: there is no room for a pipe.
    """
    try:
        return AgentStdin(reactor, on_terminal=request.tty is not None)
    except OSError as error:
        raise Unavailable(f"no pipe for its standard input: {error.strerror}") from None
