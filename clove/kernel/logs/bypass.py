"""How output gets from an agent's pipe into that of the one who is attached, without a look at it.

Bytes that are read and written again cost several times what it takes to pass them on: tee(2) and
splice(2) hand over the pages that they lie in. So the agent's bytes go by those to the one who
reads a pipe; what the kernel keeps for others it reads as well while it is little, and of a flood the
latest, C{INTERVAL} by C{INTERVAL}.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import sys
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from clove.kernel.logs.unread import Unread

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.logs.attachment import PipeAttachment

__all__ = ["INTERVAL", "Bypass", "Keeper"]

INTERVAL: Final = 0.05
"""Seconds between two looks at what a flood has left."""
_ROUNDS: Final = 4
"""Pieces that are passed on at once, as far as the agent writes them meanwhile."""
_WIDE: Final = 1 << 20
"""Bytes that the pipe of an agent that floods has room for, where Linux allows it."""
LEAST: Final = 16 << 10
"""Bytes in an agent's pipe that are worth it. Fewer are read: a pipe has room for so many pieces, however
short they are."""
Keeper = tuple[Callable[[int, bytes], None], Callable[[int], None]]
"""What takes bytes of a stream, and what is told how many bytes of both were never read."""


class Bypass:
    """One attachment's.

    @param attachment: gets the bytes.
    @param keeper: gets a copy; None: nothing else wants them.
    @param most: bytes that are read as they come, in each interval.
    """

    def __init__(
        self,
        clock: IReactorTime,
        attachment: PipeAttachment,
        keeper: Keeper | None = None,
        most: int = 0,
    ) -> None:
        self._clock = clock
        self._attachment = attachment
        self._keeper = keeper
        self._most = most
        self._read = 0  # bytes, in this interval
        self._unread: Unread | None = None
        self._look: IDelayedCall | None = None

    def pass_on(self, stream: int, source: int, most: int) -> bool:
        """Pass on what is in a pipe.

        @param most: bytes, at most.
        @return: False: it cannot be done so (at the end, say); the caller reads it as usual.
        """
        target = self._attachment.target(stream)
        if target < 0:
            return False
        move = _splice if self._keeper is None else _tee
        passed = 0
        try:
            if _waiting(source) < LEAST:
                return False
            for _ in range(_ROUNDS):
                size = move(source, target, most)
                if not size:
                    break
                passed += size
                if self._keeper is not None:
                    self._keep(stream, source, size)
        except BlockingIOError:
            if not passed:
                self._attachment.check_room(stream)
            return True
        except OSError:  # nothing reads it any more, or the source is no pipe
            pass
        return passed > 0

    def _keep(self, stream: int, source: int, size: int) -> None:
        """Take bytes that were passed on out of the agent's pipe."""
        if self._look is None:
            self._look = self._clock.callLater(INTERVAL, self._next_interval)
        unread = self._unread_room(source, size)
        if unread is not None:
            unread.move(stream, source, size)
        else:
            self._read += size
            self._copy(stream, source, size)

    def _unread_room(self, source: int, size: int) -> Unread | None:
        """Where so many bytes more wait unread; None: they are read at once."""
        if self._unread is not None and self._unread.size:  # what came before is read first
            return self._unread
        if self._read + size <= self._most:
            return None
        if self._unread is None:
            with contextlib.suppress(OSError):  # no room for it: all is read
                self._unread = Unread()
            with contextlib.suppress(OSError):  # EPERM: the user has enough (pipe(7))
                fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, _WIDE)
        return self._unread

    def _copy(self, stream: int, source: int, size: int) -> None:
        assert self._keeper is not None
        with contextlib.suppress(BlockingIOError):  # the agent has read them itself
            while size > 0 and (data := os.read(source, size)):
                size -= len(data)
                self._keeper[0](stream, data)

    def _next_interval(self) -> None:
        self._look = None
        self._read = 0
        self.catch_up()

    def catch_up(self) -> None:
        """Read what was passed on unread and is still there."""
        unread = self._unread
        if unread is None or self._keeper is None or not unread.size + unread.dropped:
            return
        keep, skip = self._keeper
        dropped, unread.dropped = unread.dropped, 0
        if dropped:
            skip(dropped)
        for stream, data in unread.read():
            keep(stream, data)

    def close(self) -> None:
        """Pass on nothing more. What is not caught up with is lost."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._unread is not None:
            self._unread.close()
            self._unread = None


def _waiting(source: int) -> int:
    """Bytes in a pipe.

    @raise OSError: it has no such number.
    """
    return int.from_bytes(fcntl.ioctl(source, termios.FIONREAD, bytes(4)), sys.byteorder)


def _splice(source: int, target: int, most: int) -> int:
    return os.splice(source, target, most, flags=os.SPLICE_F_NONBLOCK)


@functools.cache
def _libc() -> Any:
    import ctypes  # when it is needed: nothing else in a kernel does

    call = ctypes.CDLL(None, use_errno=True).tee
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
    call.restype = ctypes.c_ssize_t
    return call, ctypes.get_errno


def _tee(source: int, target: int, most: int) -> int:
    """tee(2), which Python does not have.

    @raise OSError: as it says.
    """
    call, get_errno = _libc()
    size: int = call(source, target, most, os.SPLICE_F_NONBLOCK)
    if size < 0:
        number = get_errno()
        raise OSError(number, os.strerror(number))
    return size
