"""Long computations in threads, made in pieces.

A thread that computes keeps the interpreter while the reactor's thread waits for it (the lock of
CPython: each call of a socket gives it up, and several threads that compute take it in turn
before the reactor's gets it again). So what takes a thread milliseconds is made in pieces, by one
thread at a time, and after each the interpreter is left to others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

__all__ = ["PIECE", "in_pieces"]

A = TypeVar("A")
R = TypeVar("R")

PIECE: Final = 3 << 14
"""Bytes that are computed with at a time, in less than 0.1 ms; a multiple of three for base64."""
_PAUSE: Final = 0.0001
"""Seconds after a piece in which a thread that waits for the interpreter surely gets it."""
_COMPUTING: Final = threading.Lock()


def in_pieces(function: Callable[[A], R], pieces: Sequence[A]) -> list[R]:
    """What the function makes of each piece. One piece alone is not worth the trouble."""
    if len(pieces) < 2:
        return [function(piece) for piece in pieces]
    made = []
    for piece in pieces:
        with _COMPUTING:
            made.append(function(piece))
            time.sleep(_PAUSE)
    return made
