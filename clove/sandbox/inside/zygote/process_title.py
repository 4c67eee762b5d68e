"""What /proc/self/cmdline and /proc/self/environ say, after a fork without exec."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["change", "learn"]

PR_SET_MM = 35
PR_SET_MM_MAP = 14

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sbrk.restype = ctypes.c_void_p
_kept: list[ctypes.Array[ctypes.c_char]] = []
"""The texts that the kernel reads from this process's memory from now on."""
_layout: list[int] = []


class _Map(ctypes.Structure):
    """struct prctl_mm_map of linux/prctl.h."""

    _fields_ = [
        *(
            (name, ctypes.c_uint64)
            for name in (
                "start_code",
                "end_code",
                "start_data",
                "end_data",
                "start_brk",
                "brk",
                "start_stack",
                "arg_start",
                "arg_end",
                "env_start",
                "env_end",
                "auxv",
            )
        ),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    ]


def learn(proc: str) -> None:
    """Read where this process, and every fork of it, has code, stack, data and heap.

    @param proc: a procfs.
    """
    with open(f"{proc}/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    # proc_pid_stat(5) counts from 1 and calls the one after the name the third.
    _layout[:] = [int(fields[number - 3]) for number in (26, 27, 28, 45, 46, 47)]


def change(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Let this process be seen with these arguments and this environment.

    L{learn} has been called, perhaps before the fork.

    @return: False where Linux cannot do it (PR_SET_MM in prctl(2) needs
        CONFIG_CHECKPOINT_RESTORE); then those of the zygote are seen.
    """
    arguments = _strings(argv)
    environment = _strings(f"{name}={value}" for name, value in env.items())
    code, end_code, stack, data, end_data, heap = _layout
    wanted = _Map(
        start_code=code,
        end_code=end_code,
        start_data=data,
        end_data=end_data,
        start_brk=heap,
        brk=_libc.sbrk(0),
        start_stack=stack,
        exe_fd=0xFFFFFFFF,
    )
    wanted.arg_start, wanted.arg_end = _range(arguments)
    wanted.env_start, wanted.env_end = _range(environment)
    size = ctypes.c_ulong(ctypes.sizeof(wanted))
    if _libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(wanted), size, 0):
        return False
    _kept[:] = [arguments, environment]
    return True


def _strings(texts: Iterable[str]) -> ctypes.Array[ctypes.c_char]:
    """Texts as the kernel keeps them: each with a NUL at its end."""
    joined = b"".join(os.fsencode(text) + b"\0" for text in texts)
    return ctypes.create_string_buffer(joined, max(len(joined), 1))


def _range(buffer: ctypes.Array[ctypes.c_char]) -> tuple[int, int]:
    start = ctypes.addressof(buffer)
    return start, start + len(buffer)
