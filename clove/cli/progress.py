"""How far a copy is, on a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, TextIO

from clove.cli.text import clean, size

if TYPE_CHECKING:
    from clove.cli.console import Console

__all__ = ["Progress", "telling_of"]

FIRST: Final = 1.0
"""Seconds until it is shown at all: what is quick needs none."""
EVERY: Final = 0.2
"""Seconds between two times."""
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """One line that is written anew; nothing where the stream is no terminal.

    @param clock: gives seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, shown: bool = True) -> None:
        self._stream = stream
        self._clock = clock
        self._shown = shown and stream.isatty()
        self._next = clock() + FIRST
        self._stands = False

    def tell(self, name: str, done: int, whole: int) -> None:
        """So much of a file is done.

        @param whole: its bytes; 0 where that is not known.
        """
        if not self._shown or self._clock() < self._next:
            return
        self._next = self._clock() + EVERY
        of = f" of {size(whole)}" if whole else ""
        self._stream.write(f"{_CLEAR}{clean(name)[-40:]}: {size(done)}{of}")
        self._stream.flush()
        self._stands = True

    def clear(self) -> None:
        """Make room for other lines."""
        if self._stands:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._stands = False


@contextlib.contextmanager
def telling_of(console: Console, what: str) -> Iterator[None]:
    """Say on a terminal what is waited for, once that takes long; the line goes with the block."""
    if console.as_json or not sys.stderr.isatty():
        yield
        return
    stands = threading.Event()

    def tell() -> None:
        stands.set()
        sys.stderr.write(f"{_CLEAR}clove: {clean(what)} ...")
        sys.stderr.flush()

    timer = threading.Timer(FIRST, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if stands.is_set():
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
