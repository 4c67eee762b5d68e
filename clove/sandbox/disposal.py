"""Closing what may take long to close, outside of the reactor's thread.

The last close of a file description costs what its kind and its history say: a
TCP socket with SO_LINGER waits for its peer (socket(7)), a deleted file of many
extents or a large memfd is freed there and then, and a Unix socket closes every
descriptor that waits in its queue (unix(7)). What an agent made or sent is
therefore closed here: by one thread for each owner, so that owners do not wait
for each other. What threads use themselves is closed after the last of them (L{InUse}).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from queue import SimpleQueue
from typing import Any, Final

from clove.errors import Unavailable

__all__ = ["PATIENCE", "Disposal", "InUse"]

PATIENCE: Final = 0.05
"""Seconds that a close may wait for a peer. A signal ends the wait then: the socket
is closed all the same, and its peer is told by the operating system in its own time."""
IDLE: Final = 4
"""Threads that are kept for the next owners: starting one takes the reactor's thread longer than
most closes last."""
_WAKE: Final = signal.SIGURG  # ignored by default: harmless to whatever else gets it

Close = Callable[[], object]


class _Owner:
    """Closes that wait, the first of them under way, and the thread that works on them."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Close, Callable[[], None] | None]] = deque()
        self.thread: int | None = None  # while it is in a close
        self.begun = False


class Disposal:
    """Calls what may block, in turn for each owner.

    The threads are daemons: one that the operating system holds up does not
    keep the process from ending.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._lock = threading.Lock()  # for all that follows
        self._owners: dict[Hashable, _Owner] = {}
        self._tick: Any = None
        self._idle = 0
        self._handed: SimpleQueue[tuple[Hashable, _Owner] | None] = SimpleQueue()
        self._stopped = False

    def start(self) -> None:
        """Take the signal that ends waits; from the main thread."""
        signal.signal(_WAKE, _ignore)

    def pending(self, owner: Hashable) -> int:
        """How many closes of an owner are not over."""
        with self._lock:
            found = self._owners.get(owner)
            return len(found.waiting) if found is not None else 0

    def close_descriptor(self, owner: Hashable, descriptor: int) -> None:
        """Close a descriptor."""
        self.dispose(owner, lambda: os.close(descriptor))

    def dispose(
        self, owner: Hashable, close: Close, done: Callable[[], None] | None = None
    ) -> None:
        """Call `close` in the owner's thread, after its earlier ones.

        @param done: called in the reactor's thread when it is over.
        """
        with self._lock:
            found = self._owners.get(owner)
            first = found is None
            if found is None:
                found = self._owners[owner] = _Owner()
            found.waiting.append((close, done))
        if first:
            self._begin(owner, found)
        if self._tick is None:
            self._tick = self._reactor.callLater(PATIENCE, self._interrupt)

    def _begin(self, owner: Hashable, mine: _Owner) -> None:
        """Give an owner a thread. Where Linux has none to give now, a later tick tries again."""
        mine.begun = True
        work = (owner, mine)
        with self._lock:
            idle = self._idle > 0
            self._idle -= idle
        if idle:
            self._handed.put(work)
            return
        try:
            threading.Thread(target=self._serve, args=work, daemon=True, name="disposal").start()
        except RuntimeError:  # agents may have all processes that this user, or cgroup, may have
            mine.begun = False

    def stop(self) -> None:
        """Wait for nothing: the end of the process closes what is left, without waits."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._wake()
        with self._lock:
            self._stopped = True
            idle, self._idle = self._idle, 0
        for _ in range(idle):
            self._handed.put(None)

    def _serve(self, owner: Hashable, mine: _Owner) -> None:
        """A thread: one owner after the other."""
        work: tuple[Hashable, _Owner] | None = (owner, mine)
        del owner, mine
        while work is not None:
            self._work(*work)
            with self._lock:
                if self._stopped or self._idle >= IDLE:
                    return
                self._idle += 1
            work = None  # else it would be held as long as this waits
            work = self._handed.get()

    def _work(self, owner: Hashable, mine: _Owner) -> None:
        """One close after the other."""
        over = False
        while not over:
            with self._lock:
                close, done = mine.waiting[0]
                mine.thread = threading.get_ident()
            with contextlib.suppress(OSError):  # close(2): it is closed whatever this says
                close()
            with self._lock:
                mine.thread = None
                mine.waiting.popleft()
                over = not mine.waiting
                if over:
                    del self._owners[owner]
            if done is not None:
                self._reactor.callFromThread(done)

    def _interrupt(self) -> None:
        self._tick = None
        with self._lock:
            unbegun = [(owner, mine) for owner, mine in self._owners.items() if not mine.begun]
        for owner, mine in unbegun:
            self._begin(owner, mine)
        if self._wake():
            self._tick = self._reactor.callLater(PATIENCE, self._interrupt)

    def _wake(self) -> bool:
        """End the waits of now; False if nothing is left to close."""
        with self._lock:
            for owner in self._owners.values():
                if owner.thread is not None:
                    signal.pthread_kill(owner.thread, _WAKE)
            return bool(self._owners)


class InUse:
    """A descriptor, or more, that threads use, and that the reactor's thread may release meanwhile.

    A thread runs on when its caller gives up. If the descriptor were closed under it, its number
    would be that of another file by then.

    @param close: closes it, if L{close} is the last to be called.
    @param close_in_thread: closes it in a thread that is the last; C{close}, if that is left out.
    """

    def __init__(
        self, close: Callable[[], object], close_in_thread: Callable[[], object] | None = None
    ) -> None:
        self._close = close
        self._close_in_thread = close_in_thread or close
        self._lock = threading.Lock()
        self._users = 1  # until closed, and each thread that is at it
        self._closed = False

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """It stays open meanwhile.

        @raise Unavailable: it is closed, as the request was given up before its turn.
        """
        with self._lock:
            if self._closed:
                raise Unavailable("the request was given up")
            self._users += 1
        try:
            yield
        finally:
            self._leave(self._close_in_thread)

    def close(self) -> None:
        """Close it, as soon as nothing uses it any more. Idempotent."""
        with self._lock:
            was_closed, self._closed = self._closed, True
        if not was_closed:
            self._leave(self._close)

    def _leave(self, close: Callable[[], object]) -> None:
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            close()


def _ignore(number: int, frame: object) -> None:
    """A signal with a handler interrupts; an ignored one would not."""
