"""How output gets from an agent's pipe into that of the one who is attached, without a look at it.

Bytes that are read and written again cost several times what it takes to pass them on: tee(2) and
splice(2) hand over the pages that they lie in. So the agent's bytes go by those to the one who
reads a pipe; what the kernel keeps for others it reads as well while it is little, and of a flood the
latest, C{INTERVAL} by C{INTERVAL}. A flood is passed on by a L{Pump}, as long as it lasts.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from clove.kernel.logs.attachment import STREAMS
from clove.kernel.logs.pump import LEAST, Pump, bytes_in
from clove.kernel.logs.unread import Unread

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from clove.kernel.logs.attachment import PipeAttachment

__all__ = ["INTERVAL", "Bypass", "Keeper", "StartPump"]

INTERVAL: Final = 0.05
"""Seconds between two looks at what a flood has left."""
_ROUNDS: Final = 4
"""Pieces that are passed on at once, as far as the agent writes them meanwhile."""
_WIDE: Final = 1 << 20
"""Bytes that the pipe of an agent that floods has room for, where Linux allows it."""
_FLOOD: Final = 1 << 20
"""Bytes that are passed on within an interval before a thread is to do it."""
_PUMPED: Final = 256 << 10
"""Bytes that the thread passes on at once: the reactor waits for it no longer than that takes."""
Keeper = tuple[Callable[[int, bytes], None], Callable[[int], None]]
"""What takes bytes of a stream, and what is told how many bytes of both were never read."""
StartPump = Callable[[Pump], bool]
"""Has a pump run in a thread; False: there is none for it."""


class Bypass:
    """One attachment's.

    @param attachment: gets the bytes.
    @param keeper: gets a copy; None: nothing else wants them.
    @param most: bytes that are read as they come, in each interval.
    @param start_pump: None: the reactor passes on floods, too.
    """

    def __init__(
        self,
        clock: IReactorTime,
        attachment: PipeAttachment,
        keeper: Keeper | None = None,
        most: int = 0,
        start_pump: StartPump | None = None,
    ) -> None:
        self._clock = clock
        self._attachment = attachment
        self._keeper = keeper
        self._most = most
        self._start_pump = start_pump
        self._lock = threading.Lock()  # for the pipes of a pump, and for what is unread
        self._passed = 0  # bytes, since then
        self._since = 0.0
        self._pumped = 0  # bytes, in this interval
        self._read = 0  # likewise
        self._taken: deque[tuple[int, bytes]] = deque()
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
            if bytes_in(source) < LEAST:
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
        if self._is_flood(passed):
            self._pump(stream, source, target)
        return passed > 0

    def _is_flood(self, size: int) -> bool:
        """Whether so many bytes more are too many for the reactor."""
        now = self._clock.seconds()
        if now - self._since > INTERVAL:
            self._since, self._passed = now, 0
        self._passed += size
        return self._passed > _FLOOD

    def _pump(self, stream: int, source: int, target: int) -> None:
        """Have a thread pass on the stream, if there is one."""
        if self._start_pump is None or (self._keeper is not None and self._unread is None):
            return
        self._passed = 0
        move = functools.partial(self._move_piece, stream, source, target)

        def ended(pump: Pump) -> None:
            self._attachment.end_pump(stream, pump)

        pump = Pump(self._lock, source, target, move, ended)
        self._attachment.begin_pump(stream, pump)
        if not self._start_pump(pump):
            self._attachment.end_pump(stream, pump)

    def _move_piece(self, stream: int, source: int, target: int) -> int:
        """In the pump's thread, which holds the lock."""
        if self._keeper is None:
            return _splice(source, target, _PUMPED)
        size = _tee(source, target, _PUMPED)
        if size and self._unread is not None:
            self._unread.move(stream, source, size)
        self._pumped += size
        return size

    def release(self, stream: int) -> None:
        """Pass on nothing more of a stream before L{pass_on} is called again."""
        self._attachment.end_pump(stream)

    def _keep(self, stream: int, source: int, size: int) -> None:
        """Take bytes that were passed on out of the agent's pipe."""
        if self._look is None:
            self._look = self._clock.callLater(INTERVAL, self._next_interval)
        with self._lock:
            unread = self._unread_room(source, size)
            if unread is not None:
                unread.move(stream, source, size)
                return
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
        pumped, self._pumped = self._pumped, 0
        if pumped > self._most:
            self._look = self._clock.callLater(INTERVAL, self._next_interval)
        else:  # it is little enough to be read
            self._release_all()
        self.catch_up()

    def _release_all(self) -> None:
        for stream in STREAMS:
            self.release(stream)

    def catch_up(self) -> None:
        """Read what was passed on unread and is still there."""
        if self._unread is None or self._keeper is None:
            return
        with self._lock:
            dropped, self._unread.dropped = self._unread.dropped, 0
            if dropped:
                self._taken.append((dropped, b""))
            self._taken.extend(self._unread.read())
        keep, skip = self._keeper
        while self._taken:  # whoever is told of them may call this again
            number, data = self._taken.popleft()
            if data:
                keep(number, data)
            else:
                skip(number)

    def close(self) -> None:
        """Pass on nothing more. What is not caught up with is lost."""
        self._release_all()
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._unread is not None:
            self._unread.close()
            self._unread = None


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
