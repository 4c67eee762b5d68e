"""The kernel's end of a program's terminal, on the reactor.

It comes from a sandbox's init ("terminal" in `docs/sandbox.md`), which is the agent's own user: so
it is taken only if it is what it is said to be, and never waited for.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

from clove.errors import Unavailable
from clove.sandbox.interface import ITerminal
from clove.sandbox.pipes import PIECE, OutputReader
from clove.sandbox.taker import Taker

__all__ = ["Terminal"]

_OUTER_END: Final = os.makedev(5, 2)
"""The device of /dev/ptmx (pts(4))."""
_AGAIN: Final = 0.1
"""Seconds until a terminal that nobody has open is looked at again."""
_HELD: Final = 640 << 10
"""Bytes that Linux keeps of what was written to a terminal and not read (tty_buffer.c)."""


@implementer(IWriteDescriptor, ITerminal)
class Terminal(OutputReader):
    """Reads what the program writes, types what it reads.

    @ivar waiting: bytes to be typed that the terminal has no room for yet.
    """

    def __init__(
        self,
        reactor: Any,
        descriptor: int,
        received: Callable[[bytes], None],
        closed: Callable[[], None],
        close_descriptor: Callable[[int], None],
    ) -> None:
        """
        @param descriptor: this object's own from now on.
        @param close_descriptor: closes it, as it came from inside.
        @raise Unavailable: it is no terminal's; it is closed.
        """
        facts = os.fstat(descriptor)
        if not stat.S_ISCHR(facts.st_mode) or facts.st_rdev != _OUTER_END:
            close_descriptor(descriptor)
            raise Unavailable("the sandbox has sent something that is no terminal")
        self._close_descriptor = close_descriptor
        self._typed = memoryview(b"")
        self._waiters: list[Deferred[None]] = []
        self._again: Any = None
        super().__init__(reactor, descriptor, received, closed)

    def _release(self, descriptor: int) -> None:
        self._close_descriptor(descriptor)

    def logPrefix(self) -> str:
        """For the reactor's log."""
        return "sandbox terminal"

    def capacity(self) -> int:
        """Bytes that Linux keeps of what was written and not read, at most."""
        return _HELD

    def divert(self, taker: Taker | None, stream: int = 1) -> None:
        """It is no pipe: all of it is read."""

    @property
    def over(self) -> bool:
        """Nothing more is written there, or read."""
        return self._fd < 0

    @property
    def waiting(self) -> int:
        """Bytes that wait to be typed."""
        return len(self._typed)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the program its size; it gets SIGWINCH if that is another one."""
        if self._fd >= 0:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)

    def type(self, data: bytes) -> None:
        """Have the program read some bytes. Without a program they are dropped."""
        if self._fd >= 0:
            self._typed = memoryview(bytes(self._typed) + data)
            self.doWrite()

    def when_typed(self) -> Deferred[None]:
        """Fires when nothing waits to be typed, or it is over."""
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        if self.waiting:
            self._waiters.append(waiter)
        else:
            waiter.callback(None)
        return waiter

    def doWrite(self) -> None:
        """Type what the terminal takes."""
        if self._fd < 0:
            return
        try:
            while self._typed:
                self._typed = self._typed[os.write(self._fd, self._typed[:PIECE]) :]
        except BlockingIOError:
            self._reactor.addWriter(self)
            return
        except OSError:  # the program is gone
            self._typed = memoryview(b"")
        self._reactor.removeWriter(self)
        self._tell_waiters()

    def connectionLost(self, reason: object) -> None:
        """The reactor says that nobody has the inner end open (EPOLLHUP)."""
        if self._fd >= 0:
            self._read(PIECE)
        if not self._waits_to_look:
            self._follow()

    @property
    def _waits_to_look(self) -> bool:
        return self._again is not None and bool(self._again.active())

    def ended(self) -> None:
        """Nobody has the inner end open (EIO). A program that ends may close it before, and one that goes
        on may open /dev/tty: closing this end would send them SIGHUP.
        """
        if self._cut is not None:  # the program is over
            self.close()
        else:
            self._reactor.removeReader(self)
            self._again = self._reactor.callLater(_AGAIN, self._follow)

    def close(self) -> None:
        """Close it: whoever has it as the controlling terminal gets SIGHUP. Idempotent."""
        if self._waits_to_look:
            self._again.cancel()
        was_open = self._fd >= 0
        super().close()
        if was_open:
            self._typed = memoryview(b"")
            self._tell_waiters()

    def _tell_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)
