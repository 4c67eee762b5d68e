"""Files that give whoever runs them the rights of their owner, or capabilities. Blocking.

Linux takes the bits away when such a file is written, but not when a shared mapping of it is
(mmap(2)): so one who may write it could put another program in it.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from clove.sandbox.inside import syscalls
from clove.sandbox.inside.mounts import BENEATH, NO_LINKS

__all__ = ["SetIdSearch", "TooManyFiles", "is_set_id"]

CAPABILITIES: Final = "security.capability"
EXECUTABLE: Final = 0o111
LISTING: Final = os.O_RDONLY | os.O_DIRECTORY


class TooManyFiles(Exception):
    """There are more directory entries than may be looked at, or some cannot be."""


def is_set_id(mode: int) -> bool:
    """Has a regular file of this mode the set-user-id or set-group-id bit?"""
    return stat.S_ISREG(mode) and bool(mode & (stat.S_ISUID | stat.S_ISGID))


class SetIdSearch:
    """Looks through directories; no link is followed.

    @param hidden: paths that are left out, with all beneath.
    @ivar entries: directory entries that may still be looked at.
    """

    def __init__(self, hidden: frozenset[str], entries: int) -> None:
        self.entries = entries
        self._hidden = hidden
        self._todo: list[str] = []
        self._found: list[str] = []

    def search(self, top: str) -> list[str]:
        """Paths of set-id files beneath a directory.

        @raise TooManyFiles: see the class.
        """
        self._todo, self._found = [top], []
        try:
            start = syscalls.openat2(syscalls.AT_FDCWD, top, LISTING, NO_LINKS)
        except OSError as error:
            raise TooManyFiles(f"it cannot be searched: {error.strerror}") from None
        try:
            while self._todo:
                self._look_in(start, top, self._todo.pop())
        finally:
            os.close(start)
        return self._found

    def _look_in(self, start: int, top: str, directory: str) -> None:
        below = os.path.relpath(directory, top)
        try:
            there = syscalls.openat2(start, below, LISTING, BENEATH)
        except FileNotFoundError:
            return  # it has gone meanwhile
        except OSError as error:
            raise TooManyFiles(f"{directory} cannot be searched: {error.strerror}") from None
        try:
            with os.scandir(there) as listing:
                for entry in listing:
                    self._count()
                    self._judge(there, f"{directory.rstrip('/')}/{entry.name}", entry)
        finally:
            os.close(there)

    def _count(self) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise TooManyFiles(
                "it has too many files to look for set-id programs among them, which must stay "
                "read-only: grant a narrower path, or raise limits.agents.owned_entries"
            )

    def _judge(self, there: int, path: str, entry: os.DirEntry[str]) -> None:
        if path in self._hidden:
            return
        if entry.is_dir(follow_symlinks=False):
            self._todo.append(path)
        elif entry.is_file(follow_symlinks=False):
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except FileNotFoundError:
                return
            if is_set_id(mode) or (mode & EXECUTABLE and _has_capabilities(there, entry.name)):
                self._found.append(path)


def _has_capabilities(directory: int, name: str) -> bool:
    try:
        os.getxattr(f"/proc/self/fd/{directory}/{name}", CAPABILITIES, follow_symlinks=False)
    except OSError:  # none, or not on this file system
        return False
    return True
