"""Names in directories, held by their directory: to look at, make, rename and remove.

Standard library only, as L{held_path}, which holds what a name leads to. Here the last name of a
path is not followed: a link is looked at, renamed and removed itself. The directory is looked up
once and held, so that the path that was judged and the one that is changed are the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat

from clove.sandbox.inside import openat2
from clove.sandbox.inside.held_path import BadPath, Held, absolute, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["MOST_DEEP", "Entry", "enter", "facts_of", "facts_within"]

MOST_DEEP = 256
"""Directories within each other that a removal goes down at a time; each takes a descriptor."""
_FREE_NAMES = 1000
_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}
_NOREPLACE = 1
_KINDS = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "fifo"),
    (stat.S_ISSOCK, "socket"),
)


def _facts(found: os.stat_result) -> list[Any]:
    kind = next((name for test, name in _KINDS if test(found.st_mode)), "device")
    return [kind, found.st_size, stat.S_IMODE(found.st_mode), found.st_mtime, found.st_nlink]


def facts_of(held: Held | Entry) -> list[Any]:
    """Kind, size, mode, time of change (seconds) and links of what is held.

    @raise FileNotFoundError: there is nothing.
    """
    if isinstance(held, Entry):
        return _facts(os.stat(held.name, dir_fd=held.directory, follow_symlinks=False))
    if held.kind == "missing":
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), held.path)
    return _facts(os.fstat(held.descriptor))


def facts_within(held: Held, names: Sequence[str]) -> list[list[Any] | None]:
    """The same of names in a directory that is held; None: it is gone, or not to be looked at."""
    found: list[list[Any] | None] = []
    for name in names:
        try:
            found.append(_facts(os.stat(name, dir_fd=held.descriptor, follow_symlinks=False)))
        except OSError:
            found.append(None)
    return found


class Entry:
    """A name in a directory, which is held until L{close}.

    @ivar path: the directory's real path and the name.
    @ivar directory: its descriptor (O_PATH).
    """

    __slots__ = ("directory", "name", "path")

    def __init__(self, directory: int, path: str, name: str) -> None:
        self.directory = directory
        self.name = name
        self.path = f"{path.rstrip('/')}/{name}"

    def target(self) -> str:
        """Where a link leads, "" for what is none."""
        try:
            return os.readlink(self.name, dir_fd=self.directory)
        except OSError:
            return ""

    def make_directory(self, mode: int) -> None:
        """@raise OSError: as mkdirat(2)."""
        os.mkdir(self.name, mode, dir_fd=self.directory)

    def rename(self, to: Entry, *, replace: bool) -> None:
        """Move it there, in one step.

        @param replace: also over what is there already.
        @raise OSError: as renameat2(2): EEXIST; EXDEV from one file system, or mount, to another.
        """
        if replace:
            os.rename(self.name, to.name, src_dir_fd=self.directory, dst_dir_fd=to.directory)
            return
        _rename(self.directory, self.name, to.directory, to.name)

    def remove(self, most: int, *, recursive: bool) -> tuple[int, bool]:
        """Remove it: a link itself, a directory if it is empty or with all in it.

        No mount is gone into.

        @param most: names that are removed at most.
        @return: how many were, and whether it is gone.
        @raise OSError: as unlinkat(2).
        """
        try:
            os.unlink(self.name, dir_fd=self.directory)
            return 1, True
        except (IsADirectoryError, PermissionError):  # POSIX has both for a directory
            if not stat.S_ISDIR(
                os.stat(self.name, dir_fd=self.directory, follow_symlinks=False).st_mode
            ):
                raise
        if not recursive:
            os.rmdir(self.name, dir_fd=self.directory)
            return 1, True
        return _remove_tree(self.directory, self.name, most)

    def close(self) -> None:
        """Release it. Idempotent."""
        directory, self.directory = self.directory, -1
        if directory >= 0:
            os.close(directory)


class _Level:
    """A directory on the way down.

    @ivar names: in it, that are still to be removed.
    """

    __slots__ = ("descriptor", "name", "names")

    def __init__(self, parent: int, name: str) -> None:
        self.name = name
        self.descriptor = openat2.open_directory(name, parent)
        try:
            self.names = os.listdir(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise


def _remove_tree(parent: int, name: str, most: int) -> tuple[int, bool]:
    """Remove a directory with what is in it; see L{Entry.remove}.

    What lies deeper than L{MOST_DEEP} is moved into the first of its directories, and removed there.
    """
    removed = 0
    levels: list[_Level] = []
    try:
        levels.append(_Level(parent, name))
        while levels:
            last = levels[-1]
            if not last.names:
                above = levels[-2].descriptor if len(levels) > 1 else parent
                os.rmdir(last.name, dir_fd=above)
                os.close(levels.pop().descriptor)
                removed += 1
                continue
            if removed >= most:
                return removed, False
            entry = last.names.pop()
            try:
                os.unlink(entry, dir_fd=last.descriptor)
                removed += 1
            except FileNotFoundError:
                continue
            except (IsADirectoryError, PermissionError):  # ENOTDIR next: the permission was it
                if len(levels) < MOST_DEEP:
                    levels.append(_Level(last.descriptor, entry))
                else:
                    levels[0].names.append(_lift(last.descriptor, entry, levels[0].descriptor))
        return removed, True
    finally:
        for level in levels:
            os.close(level.descriptor)


def _lift(directory: int, name: str, to: int) -> str:
    """Move a directory into another one under a name that is free there.

    @return: the name.
    @raise OSError: as renameat2(2); ENOTDIR, it is none.
    """
    os.close(openat2.open_directory(name, directory))  # a mount or a link is not moved
    for number in range(_FREE_NAMES):
        new = f".clove-removed-{number}"
        with contextlib.suppress(FileExistsError):
            _rename(directory, name, to, new)
            return new
    raise OSError(errno.EEXIST, "all names for what lies too deep are taken", name)


def _rename(directory: int, name: str, to: int, new: str) -> None:
    """Move a name, never over what is there: renameat2(2) with RENAME_NOREPLACE.

    @raise OSError: EEXIST; EXDEV.
    """
    number = _RENAMEAT2.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result = ctypes.CDLL(None, use_errno=True).syscall(
        ctypes.c_long(number),
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(name)),
        ctypes.c_int(to),
        ctypes.c_char_p(os.fsencode(new)),
        ctypes.c_uint(_NOREPLACE),
    )
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def enter(path: str, base: str) -> Entry:
    """Hold the directory that a path's last name is in, links on the way to it followed.

    @param path: absolute, or relative to base.
    @raise BadPath: as L{resolve}; or its last name is none (`/`, `.`, `..`).
    @raise OSError: as L{resolve}; ENOTDIR.
    """
    whole = absolute(path, base).rstrip("/")
    parent, _, name = whole.rpartition("/")
    if name in ("", ".", ".."):
        raise BadPath(f"the path must end in a name, not in {name or '/'!r}")
    held = resolve(f"{parent}/", base)
    try:
        if held.kind != "directory":
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return Entry(os.dup(held.descriptor), held.path, name)
    finally:
        held.close()
