"""fork(2) into new namespaces and a cgroup at once, by clone3(2)."""

from __future__ import annotations

import ctypes
import os

__all__ = ["clone"]

CLONE3 = 435
CLONE_PIDFD = 0x00001000
CLONE_CHILD_CLEARTID = 0x00200000
CLONE_CHILD_SETTID = 0x01000000
CLONE_INTO_CGROUP = 0x200000000
PR_GET_TID_ADDRESS = 40
SIGCHLD = 17


class _CloneArgs(ctypes.Structure):
    """struct clone_args of linux/sched.h."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    ]


_libc = ctypes.PyDLL(None, use_errno=True)  # keeps the GIL: no other thread may run in the child
_libc.syscall.restype = ctypes.c_long
_python = ctypes.pythonapi


def _tid_address() -> int:
    """Where the C library keeps the thread's id, for the kernel to write the child's; 0: unknown.

    The C library's own fork does this (pthread_self(3) and raise(3) rely on it).
    """
    address = ctypes.c_uint64()
    pointer = ctypes.c_ulong(ctypes.addressof(address))
    return 0 if _libc.prctl(PR_GET_TID_ADDRESS, pointer, 0, 0, 0) else address.value


def clone(namespaces: int, cgroup: int = -1) -> tuple[int, int]:
    """Fork into new namespaces.

    Python's own preparations for a fork are made, the C library's are not: so
    there must be one thread alone.

    @param namespaces: CLONE_NEW* flags (namespaces(7)).
    @param cgroup: descriptor of a directory of cgroup v2 to put it in; -1: the caller's.
    @return: the child's pid and a pidfd (close-on-exec); in the child (0, -1).
    @raise OSError: as clone3(2) refuses it; EACCES: not the right to that cgroup.
    """
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs(
        flags=namespaces | CLONE_PIDFD,
        pidfd=ctypes.addressof(pidfd),
        exit_signal=SIGCHLD,
    )
    address = _tid_address()
    if address:
        args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
        args.child_tid = address
    if cgroup >= 0:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup
    number, size = ctypes.c_long(CLONE3), ctypes.c_size_t(ctypes.sizeof(args))
    _python.PyOS_BeforeFork()
    pid = int(_libc.syscall(number, ctypes.byref(args), size))
    if pid == 0:
        _python.PyOS_AfterFork_Child()
        return 0, -1
    code = ctypes.get_errno()
    _python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(code, os.strerror(code), "clone3")
    return pid, pidfd.value
