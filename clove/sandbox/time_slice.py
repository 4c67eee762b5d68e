"""How soon a thread of the kernel runs once it wakes (sched_setattr(2)).

Linux lets what runs go on until its slice is over, and looks every few milliseconds; a thread that
wakes with a shorter slice of its own, and has not had its part of the processors, runs at once
(EEVDF, since Linux 6.12; it goes for the session and the cgroup of the thread, too). The part that it
has of the processors stays what it was. An older Linux takes the slice and does nothing with it.

It goes for one thread. What that starts, threads included, has the ordinary slice again, and no
better niceness than 0: agents and commands are not to have the kernel's.
"""

from __future__ import annotations

import os
import struct
from typing import Final

from clove.sandbox.inside import syscalls

__all__ = ["SLICE", "shorten_time_slice"]

_NUMBERS: Final = {"x86_64": 314, "aarch64": 274}
"""Of sched_setattr: not beside those that filters know, since a sandbox has no such call."""
SLICE: Final = 500_000
"""Nanoseconds. Linux gives others 0.7 ms on one processor, 1.4 ms on two, 2.8 ms on eight or more."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""struct sched_attr, as it was at first: size, policy, flags, niceness, priority, runtime (the
slice), deadline, period."""
_RESET_ON_FORK: Final = 0x01


def shorten_time_slice(nanoseconds: int = SLICE) -> bool:
    """Give it to the calling thread; whether it was granted. No privilege is needed for it.

    A thread for which an operator chose another policy, such as SCHED_FIFO, keeps what it has.
    """
    number = _NUMBERS.get(os.uname().machine)
    if number is None or os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)  # the thread's; it stays
    size = _ATTRIBUTES.size
    flags = _RESET_ON_FORK
    attributes = _ATTRIBUTES.pack(size, os.SCHED_OTHER, flags, nice, 0, nanoseconds, 0, 0)
    try:
        syscalls.call(number, 0, attributes, 0)
    except OSError:  # a filter of system calls that knows it as the one for real time
        return False
    return True
