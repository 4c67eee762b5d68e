"""What is at a path of the host, and what of the host is no file. Blocking."""

from __future__ import annotations

import os
import re
import stat

from clove.errors import CloveError, InvalidRequest, NotFound
from clove.sandbox.inside import syscalls
from clove.sandbox.inside.held_path import BadPath, resolve
from clove.sandbox.inside.mounts import NO_LINKS
from clove.sandbox.os_errors import translate

__all__ = ["bound_sockets", "entry_kind", "links_on", "look_up", "pseudo_mounts", "real_kind"]

PSEUDO = frozenset(
    (
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "mqueue",
        "nfsd",
        "proc",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    )
)
"""File systems that show the machine, not files: never shown, wherever they are mounted."""
MOST_LINKS = 40
"""Links that Linux follows in one path (path_resolution(7))."""
_OCTAL = re.compile(r"\\([0-7]{3})")


def real_kind(path: str, pattern: str) -> str:
    """What is at a granted path, reached by no link.

    @raise InvalidRequest: nothing, a link, or neither file nor directory.
    @raise CloveError: the operating system refuses to look.
    """
    try:
        held = resolve(path, "/")
    except (OSError, BadPath) as error:
        refusal: CloveError = translate(error, path)
        if not isinstance(refusal, NotFound):
            raise refusal from None
        held = None
    if held is not None:
        held.close()
    if held is None or (held.kind == "missing" and held.path == path):
        raise InvalidRequest(
            f"{path} is not there, so {pattern!r} cannot be granted to a sandboxed agent",
            hint="make it first, or grant the directory that it is to be in",
        )
    if held.path != path:
        raise InvalidRequest(
            f"{path} leads to {held.path} by a link; permissions speak of real paths",
            hint=f"grant {held.path}",
        )
    if held.kind not in ("file", "directory"):
        raise InvalidRequest(f"{path} is a {held.kind}: only files and directories are granted")
    return held.kind


def look_up(path: str) -> str | None:
    """`directory` or `file` (whatever else there is) at a path without links; None if nothing."""
    try:
        place = syscalls.openat2(syscalls.AT_FDCWD, path, os.O_PATH, NO_LINKS)
    except OSError:
        return None
    try:
        return "directory" if stat.S_ISDIR(os.fstat(place).st_mode) else "file"
    finally:
        os.close(place)


def links_on(path: str) -> list[str]:
    """The links that a path leads through, each by its real path."""
    found: list[str] = []
    place, todo = "/", os.path.abspath(path).split("/")
    while todo and len(found) <= MOST_LINKS:
        there = os.path.normpath(os.path.join(place, todo.pop(0)))
        if not os.path.islink(there):
            place = there
            continue
        found.append(there)
        target = os.readlink(there)
        place = "/" if target.startswith("/") else place
        todo = target.split("/") + todo
    return found


def entry_kind(entry: os.DirEntry[str]) -> str:
    """`link`, `directory`, `file`, or `other` for what is none of them."""
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def pseudo_mounts() -> list[str]:
    """Where file systems that show the machine are mounted (proc_pid_mountinfo(5))."""
    found = []
    with open("/proc/self/mountinfo", errors="surrogateescape") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            if rest.split(" ", 1)[0] in PSEUDO:
                place = fields.split(" ")[4]
                found.append(_OCTAL.sub(lambda match: chr(int(match[1], 8)), place))
    return found


def bound_sockets() -> list[str]:
    """Real paths of the Unix sockets that are bound now; a mount does not stop connect.

    A relative name is taken as the kernel's own. Those bound in another network
    namespace are not known here (proc_pid_net(5)).
    """
    found = []
    with open("/proc/net/unix", errors="surrogateescape") as lines:
        next(lines, None)
        for line in lines:
            fields = line.rstrip("\n").split(None, 7)
            if len(fields) == 8 and not fields[7].startswith("@"):
                found.append(os.path.abspath(fields[7]))
    parents = {path: os.path.dirname(path) for path in found}
    real = {parent: os.path.realpath(parent) for parent in set(parents.values())}
    return [
        f"{real[parent].rstrip('/')}/{os.path.basename(path)}" for path, parent in parents.items()
    ]
