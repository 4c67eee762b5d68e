"""What the Linux kernel gives a filter of system calls and takes from it (seccomp(2)). Pure."""

from __future__ import annotations

import errno
from typing import Final

from clove.sandbox.seccomp.bpf import Item, load

__all__ = [
    "ALLOW",
    "ARCHITECTURES",
    "ARCHITECTURE_OFFSET",
    "ARGUMENTS_OFFSET",
    "INVALID",
    "KILL",
    "NOTHING",
    "NO_MEMORY",
    "NO_OPTION",
    "NO_PROTOCOL",
    "NUMBER_OFFSET",
    "REFUSE",
    "UNKNOWN",
    "argument",
]

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* of linux/audit.h. Both are little endian."""

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000  # the whole process
_ERRNO: Final = 0x00050000
REFUSE: Final = _ERRNO | errno.EPERM
UNKNOWN: Final = _ERRNO | errno.ENOSYS
NO_PROTOCOL: Final = _ERRNO | errno.EPROTONOSUPPORT
NO_OPTION: Final = _ERRNO | errno.ENOPROTOOPT
INVALID: Final = _ERRNO | errno.EINVAL
NO_MEMORY: Final = _ERRNO | errno.ENOMEM
NOTHING: Final = _ERRNO
"""The call returns 0 and does nothing."""

NUMBER_OFFSET: Final = 0
ARCHITECTURE_OFFSET: Final = 4
ARGUMENTS_OFFSET: Final = 16
"""Of `struct seccomp_data`."""


def argument(number: int) -> Item:
    """Load the low half of an argument of the call."""
    return load(ARGUMENTS_OFFSET + 8 * number)
