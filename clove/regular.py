"""Reading small files that somebody else may have exchanged for something that never ends.

A FIFO without a writer holds up whoever opens it, a device may do anything, and a
link to /dev/zero never ends. So the file is opened without waiting, what was opened
must be a regular file, and no more is read than a bound. Standard library alone.
"""

from __future__ import annotations

import errno
import os
import stat

__all__ = ["NotSmall", "read_regular"]


class NotSmall(OSError):
    """It is no regular file (EINVAL), or longer than the bound (EFBIG); the text says which."""


def read_regular(file: str | int, most: int) -> bytes:
    """The whole of a small regular file. Blocking, but for no longer than the disk takes.

    @param file: its path, whose links are followed (open(2) with O_NONBLOCK), or a descriptor
        that is open for reading, which is closed.
    @param most: bytes that it may have.
    @raise NotSmall: it is something else, or longer.
    @raise OSError: as open(2) and read(2) give it.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    name = file if isinstance(file, str) else None
    descriptor = os.open(file, flags) if isinstance(file, str) else file
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotSmall(errno.EINVAL, f"is {_named(mode)}, not a regular file", name)
        pieces: list[bytes] = []
        left = most + 1
        while left > 0 and (piece := os.read(descriptor, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    finally:
        os.close(descriptor)
    if left <= 0:
        raise NotSmall(errno.EFBIG, f"has more than {most} bytes", name)
    return b"".join(pieces)


def _named(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a fifo",
        stat.S_IFSOCK: "a socket",
        stat.S_IFDIR: "a directory",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
