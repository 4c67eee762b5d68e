"""Tries to isolate something, each attempt in a process of its own, so that nothing of it stays.

Run by the file's path as a throw-away child of the probe (`clove/sandbox/probe.py`), with the
standard library alone. It writes JSON: for each attempt "" or why it failed, for Landlock its ABI.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NAMESPACES", "main"]

NAMESPACES = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
}
"""CLONE_NEW* of linux/sched.h; all of them make the default sandbox."""

_MS_REC_PRIVATE = 0x4000 | 0x40000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW_EVERYTHING = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)  # BPF_RET | BPF_K
_SYS_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_CREATE_RULESET_VERSION = 1


def _fail(code: int) -> None:
    raise OSError(code, os.strerror(code))


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(flags)) != 0:
        _fail(ctypes.get_errno())


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _try_namespace(name: str) -> str:
    """Enter a namespace as the sandbox would, and use what it is for."""
    uid, gid = os.geteuid(), os.getegid()
    if name == "user" or uid != 0:
        _unshare(NAMESPACES["user"])
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    if name != "user":
        _unshare(NAMESPACES[name])
    libc = ctypes.CDLL(None, use_errno=True)
    if name == "mnt" and libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None):
        _fail(ctypes.get_errno())
    if name == "uts" and libc.sethostname(b"clove", ctypes.c_size_t(5)):
        _fail(ctypes.get_errno())
    if name == "pid":
        pid = os.fork()
        if pid == 0:
            os._exit(0 if os.getpid() == 1 else 1)
        if os.waitpid(pid, 0)[1] != 0:
            return "the first process is not number 1"
    return ""


def _try_seccomp(_: str) -> str:
    """Load a filter that allows everything (seccomp(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    instruction = ctypes.create_string_buffer(_ALLOW_EVERYTHING, len(_ALLOW_EVERYTHING))
    packed = struct.pack("@HP", 1, ctypes.addressof(instruction))
    program = ctypes.create_string_buffer(packed, len(packed))
    nothing = ctypes.c_ulong(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), nothing, nothing, nothing)
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    if libc.prctl(_PR_SET_SECCOMP, mode, program, nothing, nothing):
        _fail(ctypes.get_errno())
    return ""


def _try_landlock(_: str) -> str:
    """The ABI's number (landlock_create_ruleset(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.syscall(
        ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint(_LANDLOCK_CREATE_RULESET_VERSION),
    )
    return f"ABI {number}" if number > 0 else os.strerror(ctypes.get_errno())


def _alone(attempt: Callable[[str], str], name: str) -> str:
    """Make an attempt in a process of its own; give what it says."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = attempt(name)
        except OSError as error:
            text = error.strerror or repr(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read().decode()
    status = os.waitpid(pid, 0)[1]
    return text or (f"died with status {status}" if status else "")


def main() -> None:
    """Make every attempt, and write what came of each to stdout."""
    found = {name: _alone(_try_namespace, name) for name in NAMESPACES}
    found["seccomp"] = _alone(_try_seccomp, "")
    found["landlock"] = _alone(_try_landlock, "")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
