"""A terminal as a user has it, with a program on it: for tests of what draws on one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.waiting import PATIENCE

__all__ = ["UserTerminal", "on_terminal"]

STATUS, ANSWER = b"\x1b[5n", b"\x1b[0n"


class UserTerminal:
    """@ivar shown: all that was written to it."""

    def __init__(self, pid: int, outer: int) -> None:
        self.pid = pid
        self._outer = outer
        self._over = False
        self._looked = 0
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        while keys:
            keys = keys[os.write(self._outer, keys) :]

    def until(self, text: bytes, patience: float = PATIENCE) -> bytes:
        """Wait until something is shown, after what was waited for before; what stands between."""
        begin = self._looked
        end = time.monotonic() + patience
        while (at := self.shown.find(text, begin)) < 0:
            left = end - time.monotonic()
            assert left > 0, f"never shown: {text!r}, but {self.shown!r}"
            assert self._read(left), f"never shown: {text!r}, but {self.shown!r}"
        self._looked = at + len(text)
        return self.shown[begin : self._looked]

    def _read(self, seconds: float) -> bool:
        if not select.select([self._outer], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._outer, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # nobody has the other end open any more
                raise
            return False
        self.shown += data
        for _ in range(data.count(STATUS)):  # as a terminal does
            self.type(ANSWER)
        return True

    def ended(self) -> int:
        """Wait for the program's end; its exit code, or minus the signal."""
        end = time.monotonic() + PATIENCE
        while self._read(end - time.monotonic()):
            assert time.monotonic() < end, f"it has not ended: {self.shown!r}"
        self._over = True
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        if not self._over:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._outer)


@contextlib.contextmanager
def on_terminal(
    command: Sequence[str], environ: Mapping[str, str], rows: int = 24, columns: int = 80
) -> Iterator[UserTerminal]:
    """Run a program on a new terminal of that size."""
    outer, inner = pty.openpty()
    size: Any = struct.pack("HHHH", rows, columns, 0, 0)
    fcntl.ioctl(inner, termios.TIOCSWINSZ, size)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(outer)
            os.login_tty(inner)
            os.execve(command[0], [*command], dict(environ))
        finally:
            os._exit(127)
    os.close(inner)
    terminal = UserTerminal(pid, outer)
    try:
        yield terminal
    finally:
        terminal.close()
