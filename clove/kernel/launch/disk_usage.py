"""How much a workspace has on its disk, counted in pieces. Blocking, for threads.

The agent changes the tree meanwhile, and may want the count wrong: no link is followed, no directory is
left, and what cannot be counted is told.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["DEEPEST", "ENTRY_BYTES", "Walk"]

DEEPEST: Final = 100
"""Directories within each other that are gone into; each takes two descriptors."""
ENTRY_BYTES: Final = 256
"""What a name counts for beside its blocks: many empty files take room, too."""
CLOSED: Final = "directories that only the agent may open"
_BLOCK: Final = 512
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE: Final = 64
"""Entries between two looks at the clock."""


class Walk:
    """One count.

    @ivar used: bytes so far. A file with several names counts for each with its part.
    @ivar hidden: why something could not be counted; "" while all could.
    @param most: no more is counted than that.
    @raise OSError: the directory itself cannot be opened.
    """

    def __init__(self, path: str, most: int) -> None:
        self.used = 0
        self.hidden = ""
        self._most = most
        self._levels: list[tuple[int, Iterator[os.DirEntry[str]]]] = []
        self._enter(os.open(path, _DIRECTORY))

    def advance(self, seconds: float) -> bool:
        """Go on for so long; true when it is done, and all is closed."""
        until = time.monotonic() + seconds
        while self._levels and self.used <= self._most:
            for _ in range(_AT_ONCE):
                if not self._levels:
                    break
                self._next()
            if time.monotonic() > until:
                break
        else:
            self.close()
        return not self._levels

    def close(self) -> None:
        """Give it up. Idempotent."""
        while self._levels:
            self._leave()

    def _enter(self, descriptor: int) -> None:
        try:
            self._levels.append((descriptor, os.scandir(descriptor)))
        except OSError:
            os.close(descriptor)
            raise

    def _leave(self) -> None:
        descriptor, entries = self._levels.pop()
        entries.close()  # type: ignore[attr-defined]
        os.close(descriptor)

    def _next(self) -> None:
        directory, entries = self._levels[-1]
        try:
            entry = next(entries, None)
        except OSError as error:
            self.hidden = f"directories that cannot be listed: {error.strerror}"
            entry = None
        if entry is None:
            self._leave()
            return
        try:
            facts = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:  # it has gone
            return
        except OSError:
            self.hidden = CLOSED  # it may be listed, and not gone into
            return
        is_directory = stat.S_ISDIR(facts.st_mode)
        names = 1 if is_directory else max(1, facts.st_nlink)
        self.used += facts.st_blocks * _BLOCK // names + ENTRY_BYTES
        if is_directory:
            self._descend(entry.name, directory, facts.st_dev)

    def _descend(self, name: str, directory: int, device: int) -> None:
        if device != os.fstat(directory).st_dev:
            return  # another file system's
        if len(self._levels) >= DEEPEST:
            self.hidden = f"directories more than {DEEPEST} deep"
            return
        try:
            self._enter(os.open(name, _DIRECTORY, dir_fd=directory))
        except FileNotFoundError:
            pass
        except PermissionError:
            self.hidden = CLOSED
        except OSError as error:
            self.hidden = f"directories that cannot be opened: {error.strerror}"
