"""What Linux says of a thread's time slice (sched_getattr(2)), for tests."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, NamedTuple

from clove.sandbox.inside import syscalls
from clove.sandbox.seccomp.syscall_numbers import NUMBERS

__all__ = ["Attributes", "known_slices", "read_attributes"]

_STRUCT: Final = struct.Struct("=IIQiIQQQ")


class Attributes(NamedTuple):
    """
    @ivar slice: nanoseconds; 0 before Linux 6.12.
    """

    policy: int
    flags: int
    nice: int
    slice: int


def read_attributes(thread: int = 0) -> Attributes:
    """Those of a thread; 0: the calling one.

    @raise OSError: there is no such thread.
    """
    buffer = ctypes.create_string_buffer(_STRUCT.size)
    number = NUMBERS[os.uname().machine]["sched_getattr"]
    syscalls.call(number, thread, ctypes.addressof(buffer), _STRUCT.size, 0)
    _, policy, flags, nice, _, runtime, _, _ = _STRUCT.unpack(buffer.raw)
    return Attributes(policy, flags, nice, runtime)


def known_slices() -> bool:
    """Whether this Linux has slices that a thread can choose."""
    return read_attributes().slice > 0
