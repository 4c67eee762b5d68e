"""Errors of the operating system, as Clove's."""

from __future__ import annotations

import errno
import os

from clove.errors import (
    AlreadyExists,
    CloveError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from clove.sandbox.inside.held_path import BadPath, ProcessEntry
from clove.sandbox.inside.openat2 import MagicLink

__all__ = ["translate"]

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_HINTS = {
    errno.EXDEV: "it would go from one mount or file system to another: copy it, then remove it",
    errno.ENOTEMPTY: "it has something in it: ask with recursive (clove rm -r)",
}
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOLCK)


def translate(error: OSError | BadPath, path: str) -> CloveError:
    """The typed error for one that the operating system raised about a path.

    @param path: as the caller named it; the text shows it, never the real one.
    """
    if isinstance(error, BadPath):
        return InvalidRequest(str(error))
    if isinstance(error, MagicLink):
        return _magic_link(error, path)
    code = error.errno or errno.EIO
    text = os.strerror(code)
    if code in (errno.ENOENT, errno.ESTALE):
        return NotFound(f"no such file or directory: {path!r}")
    if code in (errno.EACCES, errno.EPERM):
        return PermissionDenied(
            f"the operating system refuses {path!r}: {text}",
            rule="os",
            hint="the file's owner and mode decide this, not Clove's permissions",
        )
    if code == errno.EROFS:
        return PermissionDenied(f"{path!r} is on a read-only file system", rule="os")
    if code == errno.EEXIST:
        return AlreadyExists(f"{path!r} is there already")
    if code in _FULL:
        return LimitExceeded(f"{path!r}: {_FULL[code]}", hint="free some space and try again")
    if code == errno.EFBIG:
        return LimitExceeded(f"{path!r}: the file would be too big")
    if code in _SCARCE:
        return Unavailable(f"{path!r}: {text}", hint="try again later")
    if code == errno.EIO:
        return Unavailable(f"{path!r}: {text}")
    return InvalidRequest(f"{path!r}: {text}", hint=_HINTS.get(code, ""))


def _magic_link(error: MagicLink, path: str) -> CloveError:
    if isinstance(error, ProcessEntry):
        return PermissionDenied(
            f"{path!r} is of the process that reads it, and is not opened for another",
            rule="proc",
            hint="run a command (EXEC) that reads it with its own rights",
        )
    return PermissionDenied(
        f"{path!r} leads through a magic link of /proc",
        rule="magic-link",
        hint="name the file by its own path",
    )
