"""What threads use is closed after the last of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from clove.errors import Unavailable

__all__ = ["InUse"]


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
