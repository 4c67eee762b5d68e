"""Loading a system call filter into this process, for good (seccomp(2)).

The filters are made outside (L{clove.sandbox.seccomp.filters}); here they are bytes.
"""

from __future__ import annotations

import ctypes
import struct

from clove.sandbox.inside import syscalls

__all__ = ["is_filtered", "load"]

PR_GET_SECCOMP = 21
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
INSTRUCTION_BYTES = 8


def load(program: bytes) -> None:
    """Put everything that this thread calls from now on through a filter.

    Programs that it becomes and processes that it makes have it as well. Needs
    no_new_privs.

    @param program: an array of `struct sock_filter`.
    @raise OSError: EINVAL where this Linux has no filters, or not such a one;
        EACCES without no_new_privs; ENOMEM beyond the kernel's limit of filters.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    count = len(program) // INSTRUCTION_BYTES
    header = struct.pack("@HP", count, ctypes.addressof(instructions))
    pointer = ctypes.create_string_buffer(header, len(header))
    syscalls.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(pointer))


def is_filtered() -> bool:
    """This thread has a filter, as the kernel says."""
    return syscalls.prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER
