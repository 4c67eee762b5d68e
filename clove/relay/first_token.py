"""Where a new admin token is shown: once, and where no log keeps it.

A daemon's standard output is lost, and that of a systemd unit goes into the journal, which others
read (systemd.exec(5), JOURNAL_STREAM). There the token goes into a file of the relay's own user.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from typing import Final

__all__ = ["FILE_NAME", "is_read_by_a_person", "keep_token"]

FILE_NAME: Final = "admin-token"
"""In the state directory."""


def is_read_by_a_person(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Is it neither closed nor C{/dev/null} nor the journal?"""
    try:
        facts = os.fstat(descriptor)
    except OSError:
        return False
    if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == os.stat(os.devnull).st_rdev:
        return False
    return environ.get("JOURNAL_STREAM") != f"{facts.st_dev}:{facts.st_ino}"


def keep_token(directory: str, token: str) -> str:
    """Write a token where its user alone can read it, instead of an earlier one. Blocking.

    @return: the file's path.
    @raise OSError: it cannot be written.
    """
    path = os.path.join(directory, FILE_NAME)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w") as file:
        file.write(token + "\n")
    return path
