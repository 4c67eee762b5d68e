"""Floods of output, passed on in threads of their own.

A turn of the reactor's loop costs more than it takes to hand over what is in a pipe, and between two of
them the agent, its reader or both wait. So what comes too fast for turns is moved in a thread, which
only waits for the two pipes. What a family may have of such threads is its share; whoever gets
none has its output moved by the reactor.
"""

from __future__ import annotations

import fcntl
import select
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from clove.errors import LimitExceeded
from clove.sharing.shares import Shares

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorFromThreads

    from clove.sharing.shares import ShareLimits

__all__ = ["LEAST", "Pump", "Pumps", "bytes_in"]

LEAST: Final = 16 << 10
"""Bytes in an agent's pipe that are worth it. Fewer are read: a pipe has room for so many pieces, however
short they are."""
_QUIET: Final = 0.05
"""Seconds without a byte, or without room for one, after which the reactor waits for it instead."""
_SHORT: Final = 0.001
"""Seconds in which L{LEAST} bytes have come together, if it is a flood."""


class Pump:
    """Moves one stream.

    @param lock: held while something is moved.
    @param source: the pipe that it comes from.
    @param target: the pipe that it goes to.
    @param move: moves a piece and gives its size, 0 at the end; never waits.
    @param ended: called in the reactor's thread when it moves nothing more.
    """

    def __init__(
        self,
        lock: threading.Lock,
        source: int,
        target: int,
        move: Callable[[], int],
        ended: Callable[[Pump], None],
    ) -> None:
        self._lock = lock
        self._source = source
        self._target = target
        self._move = move
        self._stopped = False
        self.ended = ended

    def stop(self) -> None:
        """Touch neither pipe any more, from this moment on."""
        with self._lock:
            self._stopped = True

    def run(self) -> None:
        """Move what comes, until there is nothing to move for a while."""
        source, target = select.poll(), select.poll()
        source.register(self._source, select.POLLIN)
        target.register(self._target, select.POLLOUT)
        waits = _QUIET * 1000
        while source.poll(waits) and self._has_enough():
            if not self._move_piece() and not (target.poll(waits) and self._move_piece()):
                return

    def _has_enough(self) -> bool:
        """Whether it is worth it, at once or very soon."""
        for pause in (_SHORT, 0):
            with self._lock:
                if self._stopped:
                    return False
                try:
                    if bytes_in(self._source) >= LEAST:
                        return True
                except OSError:
                    return False
            time.sleep(pause)
        return False

    def _move_piece(self) -> bool:
        """Move a piece; False: there is no room for it, or it is over."""
        with self._lock:
            try:
                return not self._stopped and self._move() > 0
            except OSError:
                return False


class Pumps:
    """The threads.

    @param most: how many there may be.
    """

    def __init__(
        self, reactor: IReactorFromThreads, most: int, shares: ShareLimits | None = None
    ) -> None:
        self._reactor = reactor
        self._shares = Shares("floods", "limits.logs.pumps", most, shares, reserve=False)

    def start(self, family: int, pump: Pump) -> bool:
        """Have a pump run; False: there is no thread for it."""
        try:
            self._shares.take(family)
        except LimitExceeded:
            return False
        thread = threading.Thread(target=self._serve, args=(family, pump), daemon=True, name="pump")
        try:
            thread.start()
        except RuntimeError:  # agents may have all processes that this user, or cgroup, may have
            self._shares.give(family)
            return False
        return True

    def _serve(self, family: int, pump: Pump) -> None:
        try:
            pump.run()
        finally:
            self._reactor.callFromThread(self._ended, family, pump)

    def _ended(self, family: int, pump: Pump) -> None:
        self._shares.give(family)
        pump.ended(pump)


def bytes_in(source: int) -> int:
    """Bytes in a pipe.

    @raise OSError: it has no such number.
    """
    return int.from_bytes(fcntl.ioctl(source, termios.FIONREAD, bytes(4)), sys.byteorder)
