"""System calls that Python's `os` lacks, by ctypes; each raises OSError.

Numbers of calls newer than 2019 are the same on all architectures (the shared
table of Linux 5.1 and later); for the rest glibc has functions.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "call",
    "capset",
    "close_from",
    "file_ids",
    "fsconfig",
    "fsmount",
    "fsopen",
    "ioctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "openat2",
    "pivot_root",
    "prctl",
    "quick_prctl",
    "setns",
    "umount2",
    "unshare",
]

_libc = ctypes.CDLL(None, use_errno=True)
# Given the types, ctypes converts arguments three times as fast as it does objects of ctypes.
_libc.syscall.argtypes = (ctypes.c_long, *6 * (ctypes.c_void_p,))
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *4 * (ctypes.c_ulong,))

OPEN_TREE = 428
MOVE_MOUNT = 429
FSOPEN = 430
FSCONFIG = 431
FSMOUNT = 432
CLOSE_RANGE = 436
OPENAT2 = 437
MOUNT_SETATTR = 442

_libc.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)

_NO_MORE = 6 * (0,)

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def call(number: int, *args: int | bytes | None) -> int:
    """syscall(2) by number. Integers are passed as longs."""
    result: int = _libc.syscall(number, *args, *_NO_MORE[len(args) :])
    return result if result >= 0 else _check(result, f"syscall {number}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags), "unshare")


def setns(namespace: int) -> None:
    """setns(2), into a namespace of any kind."""
    _check(_libc.setns(namespace, 0), "setns")


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """prctl(2)."""
    return _check(_libc.prctl(option, a, b, c, d), f"prctl {option}")


def quick_prctl(option: int, argument: int) -> int:
    """prctl(2) with one argument, for loops; gives the error number, 0 for none."""
    return ctypes.get_errno() if _libc.prctl(option, argument, 0, 0, 0) < 0 else 0


def ioctl(descriptor: int, request: int, argument: int | bytes) -> int:
    """ioctl(2); bytes are passed by their address. (Importing `fcntl` takes a start half a millisecond.)"""
    return _check(_libc.ioctl(descriptor, request, argument), f"ioctl {request:#x}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    arguments = (source.encode(), os.fsencode(target), kind.encode())
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()), target)


def umount2(target: str, flags: int) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    _check(_libc.pivot_root(os.fsencode(new), os.fsencode(old)), new)


def capset(permitted: int, effective: int, inheritable: int) -> None:
    """capset(2), version 3, for the calling thread."""
    words = []
    for shift in (0, 32):
        words += [(mask >> shift) & 0xFFFFFFFF for mask in (effective, permitted, inheritable)]
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(*words)
    _check(_libc.capset(header, data), "capset")


@contextlib.contextmanager
def file_ids(uid: int, gid: int) -> Iterator[None]:
    """Open and make files as another user, for a while, in this thread alone (setfsuid(2)).

    Without root it changes nothing.
    """
    if os.geteuid() != 0:
        yield
        return
    _libc.setfsgid(gid)
    _libc.setfsuid(uid)
    try:
        yield
    finally:
        _libc.setfsuid(0)
        _libc.setfsgid(os.getegid())


def close_from(first: int) -> None:
    """Close every descriptor from one on (close_range(2))."""
    call(CLOSE_RANGE, first, 0xFFFFFFFF, 0)


def open_tree(path: str, *, dir_fd: int = AT_FDCWD, recursive: bool = True) -> int:
    """A detached copy of the mounts at a path, as a descriptor (open_tree(2))."""
    flags = 1 | os.O_CLOEXEC | (AT_RECURSIVE if recursive else 0)  # OPEN_TREE_CLONE
    if not path:
        flags |= AT_EMPTY_PATH
    return call(OPEN_TREE, dir_fd, os.fsencode(path), flags)


def move_mount(tree: int, target: int) -> None:
    """Attach a detached mount at what another descriptor refers to (move_mount(2))."""
    call(MOVE_MOUNT, tree, b"", target, b"", 0x04 | 0x40)  # F_EMPTY_PATH, T_EMPTY_PATH


def fsopen(kind: str) -> int:
    """A context for a new file system (fsopen(2))."""
    return call(FSOPEN, kind.encode(), 1)  # FSOPEN_CLOEXEC


def fsconfig(context: int, key: str, value: str) -> None:
    """Set an option of a new file system (fsconfig(2))."""
    call(FSCONFIG, context, 1, key.encode(), value.encode(), 0)  # FSCONFIG_SET_STRING


def fsmount(context: int, attributes: int) -> int:
    """Make the file system; a detached mount as a descriptor (fsmount(2))."""
    call(FSCONFIG, context, 6, None, None, 0)  # FSCONFIG_CMD_CREATE
    return call(FSMOUNT, context, 1, attributes)  # FSMOUNT_CLOEXEC


def mount_setattr(
    tree: int,
    attributes: int,
    *,
    recursive: bool = True,
    propagation: int = 0,
    user_namespace: int = 0,
) -> None:
    """Set attributes on a mount and all mounts below it (mount_setattr(2)).

    @param propagation: MS_PRIVATE or its like; 0 leaves it.
    @param user_namespace: a descriptor, for MOUNT_ATTR_IDMAP.
    """
    data = (ctypes.c_uint64 * 4)(attributes, 0, propagation, user_namespace)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    call(MOUNT_SETATTR, tree, b"", flags, bytes(data), 32)


def openat2(dir_fd: int, path: str, flags: int, resolve: int) -> int:
    """openat2(2) without a mode; the descriptor is close-on-exec."""
    how = (ctypes.c_uint64 * 3)(flags | os.O_CLOEXEC, 0, resolve)
    return call(OPENAT2, dir_fd, os.fsencode(path), bytes(how), 24)
