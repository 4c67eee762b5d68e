"""Whether root may install in a directory: no other user can put files, links or a record there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from clove.deploy.installer.bundle_directory import Problem

__all__ = ["check_place", "open_lock"]


def check_place(prefix: Path) -> None:
    """Refuse a prefix that others than root could change, or exchange for another; what is not there yet is no reason.

    A user's record of what was placed would say which files root removes, and a link which it overwrites.

    @param prefix: absolute.
    @raise Problem: it is such; nothing is asked where this is not root.
    """
    if os.geteuid():
        return
    real = prefix.resolve()
    for path in (prefix, *prefix.parents, real, *real.parents):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        why = ""
        if found.st_uid:
            why = f"belongs to the user with the id {found.st_uid}"
        elif found.st_mode & 0o002 and (path in (prefix, real) or not found.st_mode & stat.S_ISVTX):
            why = "may be written by everybody"
        if why:
            hint = "name another with --prefix; or install as that user"
            raise Problem(f"root does not install in {prefix}: {path} {why}", hint)


def open_lock(path: Path) -> int:
    """A descriptor of the file whose lock is taken; a link is not followed.

    @raise OSError: it cannot be opened.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
