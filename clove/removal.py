"""Removing a tree that a hostile agent has made.

`shutil.rmtree` holds a descriptor and a stack frame for each level and gives up at a
directory that it may not enter; an agent makes both with ease. Here each directory is moved
up to the tree's top before it is emptied, so that no path is long and two descriptors do;
nothing is looked up through a name that was planted. Blocking; it is for trees in which
no process works any more.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable

__all__ = ["remove_tree"]

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
BATCH = 1 << 14
"""Names held at a time, whatever number a directory has."""
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
    """One tree's. What is still to be removed is in the tree, and not in memory.

    @ivar failure: the first, if any.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._names = (f".removing-{number}" for number in itertools.count())
        self._moved = 0
        self.failure: OSError | None = None

    def run(self) -> None:
        """Leave the top directory empty, as far as that can be."""
        self._empty(self._top, self._remove)

    def _empty(self, directory: int, take: Callable[[int, str], None]) -> None:
        """Take every entry of a directory away; not what others add all the time."""
        more = True
        while more:
            moved, entries = self._moved, _some(directory)
            gone = [self._try(take, directory, entry) for entry in entries]
            more = any(gone) and (len(entries) == BATCH or moved != self._moved)

    def _try(self, step: Callable[..., None], *args: object) -> bool:
        try:
            step(*args)
        except FileNotFoundError:  # it has gone meanwhile
            return False
        except OSError as error:
            self.failure = self.failure or error
            return False
        return True

    def _remove(self, top: int, entry: str) -> None:
        """Remove an entry of the top directory; the directories in it are moved up."""
        if _unlinked(top, entry):
            return
        directory = _opened(entry, top)
        try:
            self._empty(directory, self._move_up)
        finally:
            os.close(directory)
        os.rmdir(entry, dir_fd=top)

    def _move_up(self, directory: int, entry: str) -> None:
        if not _unlinked(directory, entry):
            os.close(_opened(entry, directory))  # what is moved must be writable
            self._move(directory, entry)

    def _move(self, directory: int, entry: str) -> None:
        for name in self._names:
            try:
                os.rename(entry, name, src_dir_fd=directory, dst_dir_fd=self._top)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
            else:
                self._moved += 1
                return
        raise AssertionError("there is always another name")


def _some(directory: int) -> list[str]:
    """Names in a directory: all of them, or as many as are held at a time."""
    with os.scandir(directory) as listing:
        return [entry.name for entry in itertools.islice(listing, BATCH)]


def _unlinked(directory: int, entry: str) -> bool:
    """Unlink what is no directory; false if it is one."""
    try:
        os.unlink(entry, dir_fd=directory)
    except (IsADirectoryError, PermissionError):  # POSIX has both for a directory
        return False
    return True


def _opened(name: str, directory: int | None = None) -> int:
    """Open a directory, which is made accessible for that."""
    held = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=directory)
    try:
        if os.fstat(held).st_mode & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{held}", 0o700)
        return os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=held)
    finally:
        os.close(held)
