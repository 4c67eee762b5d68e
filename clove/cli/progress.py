"""How far a copy is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TextIO

from clove.cli.text import clean, size

__all__ = ["Progress"]

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
