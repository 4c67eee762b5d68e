"""A descriptor that tells what changes in a directory (inotify(7)). Standard library only."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from clove.sandbox.inside.held_path import Held

__all__ = ["open_watch"]

IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x4, 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x100, 0x200, 0x400, 0x800
IN_ONLYDIR, IN_EXCL_UNLINK = 0x1000000, 0x4000000
MASK = (
    IN_ATTRIB
    | IN_CLOSE_WRITE
    | IN_MOVED_FROM
    | IN_MOVED_TO
    | IN_CREATE
    | IN_DELETE
    | IN_DELETE_SELF
    | IN_MOVE_SELF
)


def open_watch(held: Held) -> int:
    """An inotify instance that watches the directory that is held; the caller closes it.

    @raise OSError: EMFILE: there are too many for this user; ENOTDIR; ENOSPC.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if watch < 0:
        raise _error(held.path)
    path = f"/proc/self/fd/{held.descriptor}".encode()
    if libc.inotify_add_watch(watch, path, MASK | IN_ONLYDIR | IN_EXCL_UNLINK) < 0:
        error = _error(held.path)
        os.close(watch)
        raise error
    return int(watch)


def _error(path: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), path)
