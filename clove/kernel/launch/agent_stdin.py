"""The standard input of an agent that has a stream for it (`docs/output.md`).

One pipe lasts over all starts of the agent: what one process has not read, the next one does.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

from clove.errors import Unavailable
from clove.sandbox.interface import ITerminal
from clove.sandbox.typist import Typist

if TYPE_CHECKING:
    from clove.messages.agents import SpawnRequest

__all__ = ["AgentStdin", "open_stream"]

_PIECE = 1 << 16
"""Bytes written in one turn of the reactor."""


class _Write:
    """Bytes of one request, and what waits for them to be taken."""

    def __init__(self, data: bytes, taken: Deferred[None]) -> None:
        self.left = memoryview(data)
        self.taken = taken


@implementer(IWriteDescriptor)
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
        self.reader, self._fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        self._waiting: deque[_Write] = deque()
        self._reason = "its standard input is closed"

    def fileno(self) -> int:
        """The descriptor for the reactor; -1 when closed."""
        return self._fd

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "agent's standard input"

    def write(self, data: bytes) -> Deferred[None]:
        """Write bytes after those that wait; fires when the pipe has taken them.

        Cancelled, those that it has not taken are dropped.

        @raise Unavailable: nothing can be written (any more), or nothing reads it.
        """
        if self._fd < 0:
            raise Unavailable(self._reason)
        one: _Write

        def forget(_: object) -> None:
            self._waiting.remove(one)

        one = _Write(data, Deferred(forget))
        self._waiting.append(one)
        if len(self._waiting) == 1:
            self._reactor.addWriter(self)
        return one.taken

    def doWrite(self) -> None:
        """Write what the pipe takes."""
        try:
            while self._waiting:
                first = self._waiting[0]
                while first.left:
                    first.left = first.left[os.write(self._fd, first.left[:_PIECE]) :]
                self._waiting.popleft()
                first.taken.callback(None)
        except BlockingIOError:
            return
        except OSError:
            self._end("nothing reads its standard input any more")
            return
        self._reactor.removeWriter(self)

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
        if self._fd < 0:
            raise Unavailable(self._reason)
        if not self._on_terminal:
            return os.dup(self._fd)
        return os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def hand_over(self) -> None:
        """The one who is attached has the writing end; of a pipe alone from now on."""
        if not self._on_terminal:
            self._end("the one who is attached writes its standard input")

    def end_input(self) -> None:
        """The agent reads what was written, and then the end. Idempotent."""
        self._end("its standard input is closed")

    def close(self) -> None:
        """The agent is gone. Idempotent."""
        if self._typist is not None:
            self._typist.close()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
        self._end("the agent has ended")

    def connectionLost(self, reason: object) -> None:
        """The reactor says that nothing reads it any more."""
        self._end("nothing reads its standard input any more")

    def _end(self, reason: str) -> None:
        if self._fd < 0:
            return
        self._reason = reason
        self._reactor.removeWriter(self)
        os.close(self._fd)
        self._fd = -1
        while self._waiting:
            self._waiting.popleft().taken.errback(Unavailable(reason))


def open_stream(reactor: Any, request: SpawnRequest) -> AgentStdin:
    """What an agent reads whose request asks for a stream.

    @raise Unavailable: there is no room for a pipe.
    """
    try:
        return AgentStdin(reactor, on_terminal=request.tty is not None)
    except OSError as error:
        raise Unavailable(f"no pipe for its standard input: {error.strerror}") from None
