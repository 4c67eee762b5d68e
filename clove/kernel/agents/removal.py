"""Removing a tree that somebody hostile has made.

`shutil.rmtree` holds a descriptor and a stack frame for each level and gives up at a
directory that it may not enter; an agent makes both with ease. Here each directory is moved
up to the tree's top before it is emptied, so that no path is long and two descriptors do;
nothing is looked up through a name that was planted. Blocking; it is for trees in which
nobody works any more.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable

__all__ = ["remove_tree"]

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ROUNDS = 3
"""Times that a tree is gone through which is not empty afterwards."""


def remove_tree(path: str) -> None:
    """Remove a directory and all beneath it, links not followed. Idempotent.

    What somebody adds meanwhile (a WRITE that was under way) is removed as well, unless
    it does not end.

    @param path: its directory and itself are ours alone to write; what lies below need not be.
    @raise OSError: something could not be removed; the rest was.
    """
    try:
        top = _opened(path)
    except FileNotFoundError:
        return
    try:
        for attempt in reversed(range(ROUNDS)):
            removal = _Removal(top)
            removal.run()
            try:
                os.rmdir(path)
            except OSError as error:
                if not attempt or error.errno != errno.ENOTEMPTY:
                    raise (removal.failure or error) from None
            else:
                return
    finally:
        os.close(top)


class _Removal:
    """One tree's.

    @ivar failure: the first, if any.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._names = (f".removing-{number}" for number in itertools.count())
        self._waiting: list[str] = []  # directories in the top one
        self.failure: OSError | None = None

    def run(self) -> None:
        """Leave the top directory empty, as far as that can be."""
        for entry in os.listdir(self._top):
            self._try(self._take, self._top, entry)
        while self._waiting:
            self._try(self._remove, self._waiting.pop())

    def _try(self, step: Callable[..., None], *args: object) -> None:
        try:
            step(*args)
        except FileNotFoundError:  # a crash had left it half done, so it came twice
            pass
        except OSError as error:
            self.failure = self.failure or error

    def _remove(self, name: str) -> None:
        """Remove a directory in the top one; those in it are moved up and wait."""
        directory = _opened(name, self._top)
        try:
            for entry in os.listdir(directory):
                self._try(self._take, directory, entry)
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=self._top)

    def _take(self, directory: int, entry: str) -> None:
        try:
            os.unlink(entry, dir_fd=directory)
        except (IsADirectoryError, PermissionError):  # POSIX has both for a directory
            os.close(_opened(entry, directory))  # what is moved must be writable
            self._waiting.append(entry if directory == self._top else self._move(directory, entry))

    def _move(self, directory: int, entry: str) -> str:
        for name in self._names:
            try:
                os.rename(entry, name, src_dir_fd=directory, dst_dir_fd=self._top)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
            else:
                return name
        raise AssertionError("there is always another name")


def _opened(name: str, directory: int | None = None) -> int:
    """Open a directory, which is made accessible for that."""
    held = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=directory)
    try:
        if os.fstat(held).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{held}", 0o700)
        return os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=held)
    finally:
        os.close(held)
