"""The default paths of kernels' sockets, for kernels and clients. Standard library only.

The user that makes the name decides which process answers, so a kernel's first socket lies where no
other user can make anything: below /run for root, else in the user's runtime directory (XDG base
directory specification), else beside the user's own state. The contract's /tmp/clove.sock comes
last: any user can listen there first, so clients check which one does (`clove.client.peer`).

A variable of the environment may be left over from another user (su and `sudo -E` keep
XDG_RUNTIME_DIR): a runtime directory counts only if it belongs to us, and no other may write it.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Mapping

__all__ = [
    "CONTRACT",
    "PATH_LIMIT",
    "SYSTEM",
    "belongs_to",
    "default_state_dir",
    "own_sockets",
    "usual_sockets",
]

CONTRACT = "/tmp/clove.sock"  # noqa: S108 the contract's (docs/wire.md)
SYSTEM = "/run/clove/clove.sock"
"""Of a kernel that root started."""
PATH_LIMIT = 107
"""Bytes of a Unix socket's path (unix(7): sun_path)."""


def belongs_to(path: str, uid: int) -> bool:
    """Whether this is a directory, not a link, in which this user alone can make anything."""
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    closed = not stat.S_IMODE(facts.st_mode) & 0o022
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == uid and closed


def default_state_dir(uid: int, environ: Mapping[str, str]) -> str:
    """/var/lib/clove for root, else below the user's XDG state directory; "" if there is no home."""
    if uid == 0:
        return "/var/lib/clove"
    base = environ.get("XDG_STATE_HOME", "")
    if not base:
        home = environ.get("HOME") or _home(uid)
        base = os.path.join(home, ".local", "state") if home else ""
    return os.path.join(base, "clove") if base else ""


def _home(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""


def own_sockets(uid: int, environ: Mapping[str, str]) -> list[str]:
    """Where a kernel of this user may listen, the best first; there may be none."""
    paths = [os.path.join(directory, "clove.sock") for directory in _own(uid, environ)]
    usable = [path for path in paths if len(os.fsencode(path)) <= PATH_LIMIT]
    return list(dict.fromkeys(usable))


def _own(uid: int, environ: Mapping[str, str]) -> Iterator[str]:
    """Directories in which no other user can make anything."""
    users = [environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"]
    for directory in users if uid else ["/run"]:  # root's: whatever is left in the environment
        if os.path.isabs(directory) and belongs_to(directory, uid):
            yield os.path.join(directory, "clove")
    state = default_state_dir(uid, environ)
    if os.path.isabs(state):
        yield state


def usual_sockets(uid: int, environ: Mapping[str, str]) -> list[str]:
    """Where a client of this user looks, in this order: its own kernel's, root's, the contract's."""
    return list(dict.fromkeys([*own_sockets(uid, environ), SYSTEM, CONTRACT]))
