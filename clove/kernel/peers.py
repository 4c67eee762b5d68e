"""The process at the other end of a connection, as Linux reports it (unix(7), proc(5)).

On an agent's own socket none of this is asked. On the main socket all of it is read anew for each
connection, from /proc/PID/stat and two links in /proc/PID/ns: none of these waits for a disk or
for the process, and how many are read has a limit (L{AgentFinder}).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from typing import Any, Final

from clove.errors import PermissionDenied
from clove.kernel.credentials import LocalPeer

__all__ = ["is_among_us", "parent_of", "peer_of"]

_UCRED: Final = struct.Struct("iII")
_SO_PEERPIDFD: Final = 77  # Linux 6.5; not in Python's socket yet
_KINDS: Final = ("user", "pid")


def peer_of(transport: Any) -> LocalPeer:
    """The other end of a transport's Unix socket; its caller closes it.

    @raise PermissionDenied: Linux knows no credentials of it, or the process has ended.
    """
    handle = getattr(transport, "socket", None)
    if handle is None or handle.family != socket.AF_UNIX:
        raise PermissionDenied(
            "Linux does not say which process is at the other end of this connection",
            rule="peer-credentials",
            hint="connect to the kernel's Unix socket",
        )
    raw = handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return LocalPeer(pid, uid, gid, _pidfd_of(handle))


def _pidfd_of(handle: socket.socket) -> int:
    try:
        return handle.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return -1
        raise PermissionDenied(
            "the process that connected has just ended",
            rule="peer-process",
            hint="connect from the process that will use the connection",
        ) from None


def parent_of(pid: int) -> int | None:
    """The pid of a process's parent, 0 if that is in no pid namespace below ours; None: gone."""
    try:
        stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return int(os.read(stat, 1024).rpartition(b")")[2].split(None, 2)[1])
    except (OSError, IndexError, ValueError):
        return None
    finally:
        os.close(stat)


def is_among_us(pid: int) -> bool:
    """Is the process certainly in the kernel's own user and pid namespaces?

    Linux may hide the links of another user's process (such as root's, from a rootless kernel);
    then what every process may read of it decides: its ids in each pid namespace, and its id map.
    (The mount namespace decides nothing: a service has its own, and its operators have not.)
    """
    try:
        return _namespaces(pid) == _namespaces("self")
    except PermissionError:
        shown = _shown(pid)
        return shown is not None and shown == _shown("self")
    except OSError:
        return False


def _namespaces(pid: int | str) -> list[str]:
    return [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in _KINDS]


def _shown(pid: int | str) -> tuple[bytes, int] | None:
    """The id map of a process's user namespace, and how many pid namespaces it is in."""
    with contextlib.suppress(OSError, StopIteration):
        with open(f"/proc/{pid}/uid_map", "rb") as file:
            ids = file.read()
        with open(f"/proc/{pid}/status", "rb") as file:
            depth = next(len(line.split()) for line in file if line.startswith(b"NSpid:"))
        return ids, depth
    return None
