"""What a sandbox's init refuses, as Clove's errors. Pure."""

from __future__ import annotations

import errno
import os
from typing import Any, Final

from clove.errors import (
    CloveError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from clove.sandbox.inside.held_path import BadPath, ProcessEntry
from clove.sandbox.inside.openat2 import MagicLink
from clove.sandbox.os_errors import translate

__all__ = ["ended", "not_sent", "path_refused", "program_refused"]

_HINTS: Final = {
    errno.EACCES: "the file's owner and mode decide this, not Clove's permissions; under a root "
    "kernel a sandboxed agent has a user id of its own, so others must be let in",
    errno.EROFS: "in a sandbox /workspace, /tmp and the paths that were granted for writing when "
    "it started can be written",
}
_KINDS: Final[dict[str, type[OSError]]] = {"magic": MagicLink, "process": ProcessEntry}


def ended() -> CloveError:
    """The error for what asks something of an agent whose main program has just ended."""
    hint = "LIST with `all` (clove ps -a) tells how; ask again if it is restarted"
    return Unavailable("the agent has ended", hint=hint)


def not_sent(error: OSError) -> CloveError:
    """The error for a message between the kernel and a sandbox that could not be sent.

    @param error: of sendmsg(2), on either side.
    """
    if error.errno in (errno.ETOOMANYREFS, errno.EMFILE):
        text = os.strerror(error.errno)
        return LimitExceeded(
            f"no descriptor can be passed between the kernel and the sandbox: {text}",
            hint="some agent keeps descriptors on their way (KILL it), or the kernel's own limit "
            "of open files (RLIMIT_NOFILE) is low; docs/limits.md says more",
        )
    text = os.strerror(error.errno or errno.EIO)
    return Unavailable(f"the agent's sandbox cannot be told anything: {text}")


def _number(fields: dict[str, Any]) -> int:
    number = fields.get("errno")
    return number if isinstance(number, int) else errno.EIO


def path_refused(fields: dict[str, Any], path: str) -> CloveError:
    """The error for a `refused` answer to resolve or open.

    @param path: as the caller named it.
    """
    step = fields.get("step")
    if step in ("send", "descriptors"):
        return not_sent(OSError(_number(fields), ""))
    if step == "path":
        return translate(BadPath(str(fields.get("text", ""))), path)
    kind = _KINDS.get(str(step), OSError)
    number = _number(fields)
    error = translate(kind(number, str(fields.get("text", ""))), path)
    if kind is OSError and number in _HINTS:
        error.hint = _HINTS[number]
    return error


def program_refused(fields: dict[str, Any], program: str, cwd: str) -> CloveError:
    """The error for a program that could not be started."""
    step, number = fields.get("step"), _number(fields)
    if step in ("send", "descriptors"):
        return not_sent(OSError(number, ""))
    what, name = ("directory", cwd) if step == "cwd" else ("program", program)
    text = os.strerror(number)
    if number in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"no such {what}: {name!r}")
    if number in (errno.EACCES, errno.EPERM):
        return PermissionDenied(f"the operating system refuses {name!r}: {text}", rule="os")
    if number in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
        return LimitExceeded(f"no room for one more process: {text}")
    return InvalidRequest(f"the {what} {name!r} cannot be used: {text}")
