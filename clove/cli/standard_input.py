"""Our own standard input for an agent: as a stream where there is one to be read."""

from __future__ import annotations

import os
import stat
import sys
from typing import Final

__all__ = ["PIECE", "is_stream"]

PIECE: Final = 1 << 16
"""Bytes read at once."""


def is_stream() -> bool:
    """Whether a pipe, a file or a socket is our standard input; a terminal or /dev/null is not."""
    if sys.stdin is None:
        return False
    try:
        facts = os.fstat(sys.stdin.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    kind = facts.st_mode
    return stat.S_ISFIFO(kind) or stat.S_ISREG(kind) or stat.S_ISSOCK(kind)
