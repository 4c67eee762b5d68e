"""The process at the other end of a socket, checked before anything is sent. Standard library only.

A kernel sees prompts and chooses answers, and a name in /tmp belongs to the first user that makes
it. So a client uses only a socket of its own user, of root, or of the user that CLOVE_TRUST_UID
names, by the credentials that Linux took when the other end began to listen (unix(7), SO_PEERCRED).

In a sandbox the user ids of the host are not known: all of them look like one, the overflow id
(user_namespaces(7)), and so may be any user's. There it counts that the socket is a mount of its
own: the process that mounted it controls this mount namespace, and could change everything that is
seen in it. The zygote leaves word of that mount in the memory of what it forks (L{mounted}), any
other process looks. No other can imitate that: a mount needs CAP_SYS_ADMIN in the namespace, and what
fusermount(1) mounts for users is a directory or a plain file, never a socket. It must be a mount of
this namespace: every user can have another, to which a link leads through /proc/PID/root. Neither
the environment nor a path is consulted, since others may have set them. What cannot be found out
counts against the other end.
"""

from __future__ import annotations

import os
import socket
import stat
import struct

from clove.errors import PermissionDenied

__all__ = ["TRUST", "check_server", "is_mounted", "mounted"]

mounted: str | None = None
"""Path of the socket that the sandbox of this process has mounted, as its zygote says."""
TRUST = "CLOVE_TRUST_UID"
_UCRED = struct.Struct("iII")
_ALL = 4294967295
"""User ids that the first user namespace maps."""


def check_server(connection: socket.socket, path: str) -> None:
    """Refuse another user's socket.

    @param path: where it was reached.
    @raise PermissionDenied: it is neither ours, nor root's, nor that of the user we trust.
    """
    if path == mounted:
        return
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    uid = _UCRED.unpack(raw)[1]
    named = os.environ.get(TRUST, "").strip()
    ours = uid in (os.geteuid(), 0) or named == str(uid)
    if (ours and _is_known(uid)) or is_mounted(path):
        return
    if named and not (named.isascii() and named.isdigit()):
        hint = f"{TRUST} must be a number, not {named[:32]!r}"
    else:
        hint = (
            f"start a kernel of your own (twistd -n clove-kernel); or, if you trust that user, "
            f"set {TRUST}={uid}"
        )
    raise PermissionDenied(
        f"the server on {path} is user id {uid}, neither you nor root: nothing was sent",
        rule="server-uid",
        hint=hint,
    )


def _is_known(uid: int) -> bool:
    """Whether this is one user's id, and not what all those look like that have none here."""
    try:
        with open("/proc/sys/kernel/overflowuid") as file:
            if uid != int(file.read()):
                return True
        with open("/proc/self/uid_map") as file:
            return sum(int(line.split()[2]) for line in file) >= _ALL
    except (OSError, ValueError, IndexError):
        return False


def is_mounted(path: str) -> bool:
    """Whether a socket is a mount of its own, in this mount namespace, and not a name in
    another user's directory.
    """
    directory, name = os.path.split(path)  # as connect(2) takes it, ".." and links in its turn
    flags = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        above = os.open(directory or ".", flags | os.O_DIRECTORY)
        try:
            handle = os.open(name, flags, dir_fd=above)
            try:
                if not stat.S_ISSOCK(os.fstat(handle).st_mode):
                    return False
                mount = _mount_of(handle)
                return mount != _mount_of(above) and _is_here(mount)
            finally:
                os.close(handle)
        finally:
            os.close(above)
    except (OSError, ValueError):
        return False


def _contents(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(file, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(file)


def _mount_of(handle: int) -> bytes:
    """The id of the mount that a descriptor is on (proc(5), fdinfo).

    @raise ValueError: it is not said.
    """
    for line in _contents(f"/proc/self/fdinfo/{handle}").splitlines():
        if line.startswith(b"mnt_id:"):
            return line.split()[1]
    raise ValueError("no mnt_id")


def _is_here(mount: bytes) -> bool:
    """Whether this process's mount namespace has the mount (proc(5), mountinfo).

    A mount's id is used again when it is gone, but no two have the same at a time.
    """
    lines = b"\n" + _contents("/proc/self/mountinfo")
    return b"\n%s " % mount in lines
