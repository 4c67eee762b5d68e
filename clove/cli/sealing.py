"""What an agent has built is made this user's, and nothing in it more than files, directories and links.

No program of it is run here, and no link of it is followed: all is opened by descriptors of directories.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final, NamedTuple

from clove.errors import InvalidRequest

__all__ = ["Contents", "seal"]

MOST_ENTRIES: Final = 1_000_000
"""Files and directories of one environment."""
DEEPEST: Final = 100
"""Directories of it within each other."""
READABLE: Final = 0o755
CONFIG: Final = "pyvenv.cfg"
_INTERPRETER: Final = re.compile(r"python[0-9.]*")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Contents(NamedTuple):
    """How much there is.

    @ivar size: bytes of the disk.
    """

    files: int
    size: int


def seal(path: str, python: str) -> Contents:
    """Make an environment ours, readable for all who can reach it, and the interpreter's that was asked for.

    The agent that built it has ended. It wrote pyvenv.cfg and the links to the interpreter, by which a kernel
    finds what it mounts; so these are written anew.

    @param python: the interpreter, without links.
    @raise InvalidRequest: it is no environment, or holds more than that.
    @raise OSError: something cannot be changed.
    """
    held = os.open(path, _DIRECTORY)
    try:
        _write_own(held, python)
    finally:
        os.close(held)
    files = size = 0
    for where, directories, names, descriptor in os.fwalk(
        path, onerror=_raise, follow_symlinks=False
    ):
        if where.count("/", len(path)) > DEEPEST:
            raise InvalidRequest(f"directories more than {DEEPEST} deep in an environment")
        for name in (*directories, *names):
            facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            _take(name, facts, descriptor)
            files += 1
            size += facts.st_blocks * 512
        if files > MOST_ENTRIES:
            raise InvalidRequest(f"more than {MOST_ENTRIES} files in an environment")
    os.chmod(path, READABLE)
    return Contents(files, size)


def _raise(error: OSError) -> None:
    raise error


def _take(name: str, facts: os.stat_result, directory: int) -> None:
    """Make one entry ours."""
    if stat.S_ISLNK(facts.st_mode):
        if facts.st_uid != os.geteuid():
            os.chown(name, os.geteuid(), os.getegid(), dir_fd=directory, follow_symlinks=False)
        return
    if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
        raise InvalidRequest(f"the build has left {name!r}, which is no file")
    wanted = READABLE if stat.S_ISDIR(facts.st_mode) or facts.st_mode & 0o111 else 0o644
    ours = facts.st_uid == os.geteuid()
    if ours and stat.S_IMODE(facts.st_mode) == wanted:
        return
    held = os.open(
        name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
    )
    try:
        if not ours:
            os.fchown(held, os.geteuid(), os.getegid())
        os.fchmod(held, wanted)
    finally:
        os.close(held)


def _write_own(directory: int, python: str) -> None:
    """Write what a kernel reads of an environment.

    @raise InvalidRequest: it is none.
    """
    try:
        programs = os.open("bin", _DIRECTORY, dir_fd=directory)
        os.close(os.open("lib", _DIRECTORY, dir_fd=directory))
    except OSError:
        raise InvalidRequest("the build has left no virtual environment") from None
    try:
        names = {name for name in os.listdir(programs) if _INTERPRETER.fullmatch(name)}
        for name in names:
            os.unlink(name, dir_fd=programs)
        for name in names | {"python", "python3"}:
            os.symlink(python if name == "python" else "python", name, dir_fd=programs)
    finally:
        os.close(programs)
    if CONFIG in os.listdir(directory):
        os.unlink(CONFIG, dir_fd=directory)
    with os.fdopen(os.open(CONFIG, _NEW, 0o644, dir_fd=directory), "w") as file:
        file.write(f"home = {os.path.dirname(python)}\ninclude-system-site-packages = false\n")
