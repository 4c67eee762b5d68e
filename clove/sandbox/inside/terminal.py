"""A terminal for a program: a pair of pseudoterminals of this sandbox (pty(7)).

The kernel gets the one end, the program has the other one as its controlling terminal. So what
types into it is the kernel alone, for whoever it lets attach.
"""

from __future__ import annotations

import os
import struct

from clove.sandbox.inside import syscalls

__all__ = ["control", "open_pair"]

PTMX = "/dev/ptmx"
CONTROL, SET_SIZE, LOCK = 0x540E, 0x5414, 0x40045431
"""TIOCSCTTY, TIOCSWINSZ and TIOCSPTLCK (ioctl_tty(2))."""
GET_PEER = 0x5441
"""TIOCGPTPEER: the other end, whatever is mounted on its path."""


def open_pair(rows: int, columns: int) -> tuple[int, int]:
    """Both ends: the kernel's, which never blocks, and the program's.

    @raise OSError: ENOSPC when there are too many (L{clove.sandbox.inside.root.TERMINALS}),
        ENOENT where there are none.
    """
    outer = os.open(PTMX, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        syscalls.ioctl(outer, LOCK, struct.pack("i", 0))
        syscalls.ioctl(outer, SET_SIZE, struct.pack("HHHH", rows, columns, 0, 0))
        inner = syscalls.ioctl(outer, GET_PEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except BaseException:
        os.close(outer)
        raise
    return outer, inner


def control(terminal: int) -> None:
    """Have it as the controlling terminal of this process, which leads a new session."""
    syscalls.ioctl(terminal, CONTROL, 0)
