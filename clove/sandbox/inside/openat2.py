"""openat2(2) without magic links, and the same by walking where it is missing.

Magic links are the links of procfs that jump to an object instead of naming a
path (/proc/PID/fd/N, /proc/PID/root, /proc/PID/cwd): they lead around every
path rule, so they are refused. Sources: openat2(2), proc(5), path_resolution(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

__all__ = ["MAX_LINKS", "MagicLink", "available", "hold", "on_procfs", "open_directory", "walk"]

SYS_OPENAT2 = 437  # the same number on all architectures but alpha
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
AT_FDCWD = -100
PROC_SUPER_MAGIC = 0x9FA0
PROC_ROOT_INODE = 1

MAX_LINKS = 40
"""Symbolic links followed on one path, as the kernel's own MAXSYMLINKS."""

_HOLD = os.O_PATH | os.O_CLOEXEC


class MagicLink(PermissionError):
    """The path leads through a magic link of procfs."""


class _OpenHow(ctypes.Structure):
    """struct open_how of linux/openat2.h."""

    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


_libc = ctypes.CDLL(None, use_errno=True)
_found: list[bool] = []  # whether openat2 is there, once that is known


def _openat2(
    path: str, flags: int, directory: int = AT_FDCWD, resolve: int = RESOLVE_NO_MAGICLINKS
) -> int:
    """openat2(2), by default with RESOLVE_NO_MAGICLINKS.

    @raise OSError: as the system call gives it.
    """
    how = _OpenHow(flags=flags, mode=0, resolve=resolve)
    number = _libc.syscall(
        ctypes.c_long(SYS_OPENAT2),
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(path)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if number < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return int(number)


def available() -> bool:
    """True if this kernel has openat2 (Linux 5.6) and nothing forbids it here."""
    if not _found:
        try:
            os.close(_openat2("/", _HOLD))
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):
                raise
            _found.append(False)
        else:
            _found.append(True)
    return _found[0]


def open_directory(name: str, parent: int) -> int:
    """Open a directory in another one, to list it: no link is followed, and no mount gone into.

    @raise OSError: EXDEV for a mount; as open(2).
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    if available():
        return _openat2(name, flags, parent, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS)
    opened = os.open(name, flags, dir_fd=parent)
    if os.fstat(opened).st_dev != os.fstat(parent).st_dev:
        os.close(opened)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    return opened


def on_procfs(descriptor: int) -> bool:
    """True if what is held lies on a procfs (fstatfs(2), whose first word is f_type)."""
    buffer = ctypes.create_string_buffer(256)
    if _libc.fstatfs(ctypes.c_int(descriptor), buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF == PROC_SUPER_MAGIC


def walk(path: str) -> int:
    """What openat2 does, one component at a time, for systems without it.

    On procfs only the links right below its root (self, thread-self, mounts,
    net) are ordinary; all others are taken for magic ones.

    @param path: absolute.
    @return: an O_PATH descriptor.
    @raise MagicLink: the path leads through one.
    @raise OSError: as open(2) gives it.
    """
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    if todo and path.endswith(("/", "/.")):
        todo.insert(0, ".")
    links = 0
    here = os.open("/", _HOLD | os.O_DIRECTORY)
    try:
        while todo:
            part = todo.pop()
            there = os.open(part, _HOLD | os.O_NOFOLLOW, dir_fd=here)
            if stat.S_ISLNK(os.fstat(there).st_mode):
                target = _read_link(there, here, path)
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.startswith("/"):
                    os.close(here)
                    here = -1
                    here = os.open("/", _HOLD | os.O_DIRECTORY)
                todo += [piece for piece in reversed(target.split("/")) if piece]
                continue
            os.close(here)
            here = there
    except BaseException:
        if here >= 0:
            os.close(here)
        raise
    return here


def _read_link(link: int, parent: int, path: str) -> str:
    """Where a held link leads; closes it.

    @raise MagicLink: it is one.
    """
    try:
        if on_procfs(link) and os.fstat(parent).st_ino != PROC_ROOT_INODE:
            raise MagicLink(errno.ELOOP, "leads through a magic link", path)
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def hold(path: str) -> int:
    """An O_PATH descriptor of what an absolute path leads to.

    @raise MagicLink: it leads through one.
    @raise OSError: ELOOP, EACCES, ENOTDIR and others, as openat2(2) gives them.
    """
    if not available():
        return walk(path)
    try:
        return _openat2(path, _HOLD)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        os.close(walk(path))  # says which of the two reasons for ELOOP it is
        raise
