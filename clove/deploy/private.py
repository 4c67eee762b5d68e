"""The directory of a deployment, which is its user's alone: checked, and locked for one command at a time.

What lies there says what is removed and what is run (a terraform module), so that of another user is not used.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from clove.errors import AlreadyExists, PermissionDenied, Unavailable

__all__ = ["check_own", "lock_directory"]

_OPENING: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def check_own(found: os.stat_result, path: Path) -> None:
    """Refuse what another user could have written, and what is neither a file nor a directory.

    @param found: of C{path}, without following a link.
    @raise PermissionDenied: it is such.
    """
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        raise PermissionDenied(
            f"{path} is neither a directory nor a file",
            hint="move it away; $XDG_STATE_HOME says where deployments are kept",
        )
    if found.st_uid != os.geteuid():
        raise PermissionDenied(
            f"{path} belongs to the user with the id {found.st_uid}",
            hint="be that user; or say with $XDG_STATE_HOME where your own deployments are",
        )
    if found.st_mode & 0o022:
        raise PermissionDenied(
            f"others may write {path}",
            hint=f"see that nobody has, then: chmod go-w {path}",
        )


def lock_directory(directory: Path, name: str) -> int:
    """Make a directory for its user alone, if need be, and take its lock.

    @param name: of the lock's file.
    @return: a descriptor that holds it.
    @raise AlreadyExists: another command has it.
    @raise PermissionDenied: the directory is another user's, or others may write it.
    @raise Unavailable: it cannot be used.
    """
    try:
        directory.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            directory.parent.mkdir(mode=0o700, exist_ok=True)
            directory.mkdir(mode=0o700, exist_ok=True)
            try:
                for each in (directory.parent, directory):
                    check_own(each.lstat(), each)
                lock = os.open(directory / name, _OPENING, 0o600)
            except FileNotFoundError:  # the one before has just removed the directory
                continue
            if _have(lock, directory, name):
                return lock
    except OSError as error:
        raise Unavailable(
            f"cannot use {directory}: {error.strerror}",
            hint="$XDG_STATE_HOME says where deployments are kept",
        ) from None


def _have(lock: int, directory: Path, name: str) -> bool:
    """Take it; False: it is no longer the file there."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 100, 0).decode(errors="replace").strip() or "?"
        os.close(lock)
        raise AlreadyExists(
            f"another command works on {directory.name}: process {holder}",
            hint="wait until it has ended",
        ) from None
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(lock), os.stat(directory / name)):
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return True
    os.close(lock)
    return False
